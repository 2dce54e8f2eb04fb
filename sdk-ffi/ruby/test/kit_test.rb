# frozen_string_literal: true

require_relative "support"

# The test kit for programs.
class KitTest < Case
  def test_the_clock_moves_at_once
    { "10m" => 600, "1h30m" => 5400, "250ms" => 0.25, "1.5s" => 1.5, 61 => 61, 0.5 => 0.5 }.each do |by, seconds|
      p.state.set("a", "1", ttl: seconds)
      p.clock.advance(by)
      assert_nil p.state.get("a"), by
    end
    p.state.set("a", "1", ttl: 600)
    p.clock.advance("9m")
    assert_equal "1", p.state.get("a")
    ["", "10", "10 m", "m", "10m!", "-1m"].each do |text|
      assert_raises(ArgumentError, text) { p.clock.advance(text) }
    end
  end

  def test_components_fail_when_they_are_told_to
    p.fail("state", operation: "set", after: 2, times: 1, reason: "state.etag_mismatch")
    2.times { |i| p.state.set("k#{i}", i) }
    assert_raises(Pillion::Conflict) { p.state.set("k2", 2) }
    assert_nil p.state.get("k2")
    p.state.set("k2", 2)
    p.fail("state")
    2.times { assert_raises(Pillion::Unavailable) { p.state.get("k2") } }
    p.reset
    assert_equal 2, p.state.get("k2")
  end

  def test_it_closes_with_its_block
    kept = Pillion::Testing.open { |p| p.tap { _1.state.set("a", "1") } }
    assert_equal "runtime.closed", assert_raises(Pillion::Error) { kept.state.get("a") }.reason
  end

  def test_a_runtime_that_is_not_for_tests_refuses_it
    Pillion.embedded do |p|
      assert_raises(Pillion::Unsupported) { p.apis.testing.reset }
    end
  end
end
