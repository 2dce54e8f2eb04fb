# frozen_string_literal: true

# A greeting in a runtime of our own, or in a sidecar that others greet too:
#
#   ruby demo.rb embedded
#   ruby demo.rb http://127.0.0.1:34904

require "pillion"

where = ARGV.fetch(0) { abort "usage: demo.rb embedded | ENDPOINT" }
mode, p = where == "embedded" ? ["embedded", Pillion.embedded] : ["sidecar", Pillion.connect(where)]

greeting = { "from" => "ruby", "mode" => mode }
p.state.set("greeting:ruby", greeting)
raise "another greeting came back" unless p.state.get("greeting:ruby") == greeting

p.state.list("greeting:") do |entry|
  puts "ruby: #{entry.key} = #{JSON.generate(entry.object)} (etag #{entry.etag})"
end
p.close
