# frozen_string_literal: true

require_relative "support"

# The README, the example and the sources themselves.
class SourceTest < Minitest::Test
  HOME = File.expand_path("..", __dir__)
  SNIPPETS = File.read(File.join(HOME, "README.md")).scan(/```ruby\n(.*?)```/m).flatten

  def ruby(*arguments, **environment)
    said, status = Open3.capture2e(environment.transform_keys(&:to_s), RbConfig.ruby, "-W", "-I", File.join(GEM, "lib"),
                                   *arguments)
    assert_predicate status, :success?, said
    said
  end

  SNIPPETS.each.with_index(1) do |snippet, number|
    define_method("test_snippet_#{number}_of_the_readme_prints_what_it_says") do
      Sidecar.run do |sidecar|
        expected = snippet.scan(/# prints (.*)/).flatten
        refute_empty expected
        program = snippet.gsub("http://127.0.0.1:34904", sidecar.url)
        assert_equal expected, ruby("-e", program).lines(chomp: true)
        # What opens takes either.
        next unless snippet.include?("Pillion.open do")

        assert_equal expected, ruby("-e", program, PILLION_ENDPOINT: sidecar.url).lines(chomp: true)
      end
    end
  end

  def test_the_demo_shows_greetings
    demo = File.join(HOME, "example/demo.rb")
    greeting = /\Aruby: greeting:ruby = {"from":"ruby","mode":"(\w+)"} \(etag [\w-]+\)\n\z/
    assert_equal "embedded", ruby(demo, "embedded")[greeting, 1]
    Sidecar.run do |sidecar|
      assert_equal "sidecar", ruby(demo, sidecar.url)[greeting, 1]
      Pillion.connect(sidecar.url) { |p| p.state.set("greeting:other", { "from" => "other" }) }
      assert_includes ruby(demo, sidecar.url), 'ruby: greeting:other = {"from":"other"} (etag '
    end
    said, status = Open3.capture2e(RbConfig.ruby, "-I", File.join(GEM, "lib"), demo)
    assert_equal ["usage: demo.rb embedded | ENDPOINT\n", 1], [said, status.exitstatus]
  end

  def test_everything_loads_without_warnings_and_starts_nothing
    said = ruby("-e", 'require "pillion/testing"; p Thread.list.size, Dir.children("/proc/self/task").size')
    alone = ruby("-e", 'p Thread.list.size, Dir.children("/proc/self/task").size')
    assert_equal alone, said
  end

  Dir.glob("{lib,test,example}/**/*.rb", base: HOME).push("driver.rb", "pillion.gemspec").each do |name|
    define_method("test_#{name}_has_no_warnings") do
      said, = Open3.capture2e(RbConfig.ruby, "-Wc", File.join(HOME, name))
      assert_equal "Syntax OK\n", said
    end
  end

  def test_every_method_shows_how_it_is_called
    text = File.read(File.join(HOME, "lib/pillion/gen/apis.rb"))
    methods = text.scan(/^((?:    #.*\n)+)    def (\w+)\(/)
    refute_empty methods
    methods.each { |comment, name| assert_match(/# @example\n    #   p\.apis\.\w+\.#{name}\(/, comment) }
  end
end
