# frozen_string_literal: true

require_relative "support"

# How programs end, whatever they are in the middle of. PILLION_EXIT_RUNS: how often each, 20 if not set.
class ExitTest < Minitest::Test
  RUNS = Integer(ENV.fetch("PILLION_EXIT_RUNS", "20"))
  AT_ONCE = 4

  OPEN = <<~RUBY
    require "support/shapes"
    $p = Pillion::Testing.open
    def call = $p.apis.shapes.act(:answer, after: 3600)
    def beside(&block) = Thread.new(&block).tap { sleep 0.001 until $p.apis.shapes.count.open == 1 }
  RUBY

  # The program, and how it ends: a status or a signal.
  STATES = {
    "idle" => ["", 0],
    "closed" => ["$p.close", 0],
    "a call in flight" => ["beside { call }", 0],
    "quick calls beside" => ['Thread.new { loop { $p.state.set("k", "v") } }; sleep 0.01', 0],
    "a stream half read" => ["$s = $p.apis.shapes.expand(5); $s.next", 0],
    "an enumerator half read" => ["$e = $p.apis.shapes.expand(5).each; $e.next", 0],
    "a watch that lives" => ["$w = $p.state.watch; $w.next", 0],
    "waiting for an answer" => ["beside { $p.apis.shapes.expand(0, _then: :hang).next }", 0],
    "exit in a block of answers" => ["$p.apis.shapes.expand(5) { exit(3) }", 3],
    "exit! in a block of answers" => ["beside { call }; $p.apis.shapes.expand(5) { exit!(4) }", 4],
    "an exception" => ["beside { call }; $stderr.reopen(File::NULL); raise KeyError", 1],
    "calls in at_exit" => ['at_exit { $p.state.set("k", "v"); exit!(5) if $p.state.get("k") == "v" }', 5],
    "an exception in at_exit" => ["at_exit { $stderr.reopen(File::NULL); raise KeyError }; beside { call }", 1],
    "Ctrl-C in a call" => ['trap(:INT, :DEFAULT); $stderr.reopen(File::NULL); Thread.new { sleep 0.001 until $p.apis.shapes.count.open == 1; Process.kill(:INT, $$) }; call', :INT],
    "a call of a child" => ["Process.wait(fork { Pillion.embedded { _1.state.set('k', 1) } }); exit($?.exitstatus)", 0]
  }.freeze

  STATES.each do |state, (source, ending)|
    define_method("test_#{state}") do
      queue = Queue.new
      RUNS.times { |run| queue << run }
      queue.close
      endings = Array.new(AT_ONCE) { Thread.new { runs(queue, source) } }.flat_map(&:value)
      assert_equal({ [ending, ""] => RUNS }, endings.tally)
    end
  end

  def runs(queue, source)
    endings = []
    while queue.pop
      said, status = Open3.capture2e(RbConfig.ruby, "-I", $LOAD_PATH.first, "-I", __dir__, "-e", OPEN + source)
      endings << [status.signaled? ? Signal.signame(status.termsig).to_sym : status.exitstatus, said]
    end
    endings
  end
end
