# frozen_string_literal: true

require_relative "support"

class CancelTest < Case
  # A thread within a call, which is under way.
  def waiting(&call)
    thread = Thread.new(&call)
    thread.report_on_exception = false
    eventually("under way") { calls_under_way?(1) }
    thread
  end

  def test_a_timeout_drops_the_call_where_it_runs
    assert_raises(Timeout::Error) { Timeout.timeout(0.2) { hang } }
    assert_dropped 1
    assert_raises(Timeout::Error) { Timeout.timeout(0.2) { p.apis.shapes.expand(0, _then: :hang).next } }
    GC.start
    assert_operator p.apis.shapes.count.dropped, :>=, 1
  end

  def test_killing_a_thread_drops_its_call
    waiting { hang }.kill.join
    assert_dropped 1
  end

  def test_an_exception_raised_in_a_thread_is_what_it_gets
    thread = waiting { hang }
    thread.raise(KeyError, "enough")
    assert_equal "enough", assert_raises(KeyError) { thread.join }.message
    assert_dropped 1
  end

  def test_an_interrupt_ends_the_call_of_the_main_thread
    # Whoever runs the tests in the background may have it ignored, and that is inherited.
    trap(:INT, :DEFAULT)
    Thread.new do
      eventually("under way") { calls_under_way?(1) }
      Process.kill(:INT, Process.pid)
    end
    assert_raises(Interrupt) { hang }
    assert_dropped 1
  end

  def test_a_cancel_drops_the_calls_it_was_handed_to
    cancel = Pillion::Cancel.new
    thread = waiting { hang(cancel: cancel) }
    cancel.cancel
    error = assert_raises(Pillion::Cancelled) { thread.join }
    assert_equal ["request.cancelled", :unknown], [error.reason, error.outcome]
    assert_dropped 1
    assert_predicate cancel, :cancelled?
    assert_raises(Pillion::Cancelled) { hang(cancel: cancel) }
  end

  def test_a_cancel_ends_the_wait_for_an_answer_not_its_stream
    stream = p.apis.shapes.expand(1, every: 0.2)
    cancel = Pillion::Cancel.new
    waiting = Thread.new { stream.next(cancel: cancel) }
    waiting.report_on_exception = false
    cancel.cancel
    assert_raises(Pillion::Cancelled) { waiting.value }
    assert_equal 0, stream.next.index
  end

  def test_cleaning_up_goes_on_after_a_cancelled_call
    done = []
    thread = waiting do
      hang
    ensure
      done << p.state.set("a", "1").etag << p.state.get("a")
    end
    thread.kill.join
    assert_equal "1", done.last
  end

  # Each waits for the runtime to have seen them all: one that held the interpreter's lock would keep the
  # others from calling.
  def test_calls_of_many_threads_wait_at_the_same_time
    threads = Array.new(32) { Thread.new { act(:answer, after: 2) } }
    eventually("all under way") { calls_under_way?(32) }
    threads.each(&:join)
    assert_equal 32, p.apis.shapes.count.succeeded
  end

  def test_a_thread_computes_while_another_waits
    thread = waiting { hang }
    assert_equal 500_500, (1..1000).sum
    assert_predicate thread, :alive?
    thread.kill.join
  end

  def test_one_runtime_serves_all_threads
    Array.new(8) do |thread|
      Thread.new { 50.times { |i| p.state.set("#{thread}-#{i}", i) } }
    end.each(&:join)
    assert_equal 400, p.state.keys.count
  end
end
