# frozen_string_literal: true

require_relative "support"

class SidecarTest < Case
  def test_killing_the_sidecar_in_the_middle_of_a_stream
    Sidecar.run do |sidecar|
      Pillion.connect(sidecar.url, retries: 0) do |p|
        p.state.set("a", "1")
        changes = p.apis.state.watch
        refute_nil changes.next
        sidecar.kill
        error = assert_raises(Pillion::Unavailable) { changes.to_a }
        # As in Rust, and in every language.
        assert_equal ["runtime.connection_lost", :rejected], [error.reason, error.outcome]
        error = assert_raises(Pillion::Unavailable) { p.state.get("a") }
        assert_equal ["runtime.unreachable", :rejected, true], [error.reason, error.outcome, error.retryable?]
        sidecar.start
        p.wait_ready(PATIENCE)
        p.state.set("a", "back")
        assert_equal "back", p.state.get("a")
      end
    end
  end

  def test_a_watch_goes_on_when_the_sidecar_is_back
    Sidecar.run do |sidecar|
      Pillion.connect(sidecar.url) do |p|
        changes = p.state.watch
        assert_predicate changes.next, :synced?
        sidecar.kill
        sidecar.start
        # Another store: what was known before counts no more.
        assert_predicate changes.next, :resync?
        p.state.set("a", "1")
        assert_equal "1", changes.find(&:written?).entry.object
      end
    end
  end

  def test_open_takes_what_the_environment_says
    Sidecar.run do |sidecar|
      put = 'require "pillion"; Pillion.open { |p| p.state.set("from", "a child") }'
      said, status = Open3.capture2e({ "PILLION_ENDPOINT" => sidecar.url }, RbConfig.ruby, "-I", $LOAD_PATH.first, "-e", put)
      assert_predicate status, :success?, said
      Pillion.connect(sidecar.url) { |p| assert_equal "a child", p.state.get("from") }
    end
  end

  def test_nobody_there_is_unavailable_and_a_wrong_address_invalid
    Pillion.connect("http://127.0.0.1:1", retries: 0) do |p|
      assert_equal "runtime.unreachable", assert_raises(Pillion::Unavailable) { p.state.get("a") }.reason
    end
    assert_raises(Pillion::Invalid) { Pillion.connect("nowhere at all") }
  end

  def test_calls_of_many_threads_wait_at_the_same_time
    Sidecar.run do |sidecar|
      Pillion.connect(sidecar.url) do |p|
        Array.new(16) { |i| Thread.new { 20.times { |j| p.state.set("#{i}-#{j}", j) } } }.each(&:join)
        assert_equal 320, p.state.keys.count
      end
    end
  end
end
