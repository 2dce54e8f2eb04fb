# frozen_string_literal: true

require_relative "support"

class ErrorTest < Case
  def test_there_is_a_class_for_each_category_and_cancelled
    assert_equal Pillion::Category::NAMES.keys - [:unspecified], Pillion::ERRORS.keys
    Pillion::ERRORS.each_value do |found|
      assert_equal Pillion::Error, found.superclass
    end
    assert_equal StandardError, Pillion::Error.superclass
  end

  def test_a_conflict_says_all_there_is
    stale = p.state.set("a", "1").etag
    p.state.set("a", "2")
    error = assert_raises(Pillion::Conflict) { p.state.set("a", "3", if_match: stale) }
    assert_equal ["state.etag_mismatch", :rejected, false, "state"],
                 [error.reason, error.outcome, error.retryable?, error.component]
    assert_equal "a", error.metadata["key"]
    assert_includes error.message, error.advice
    refute_includes error.message, "\n"
    assert_nil error.cause
    assert_predicate error.info, :frozen?
  end

  def test_an_error_of_a_component_is_retryable_and_names_it
    p.fail("state", times: 1)
    error = assert_raises(Pillion::Unavailable) { p.state.get("a") }
    assert_equal ["component.unavailable", true, "state"], [error.reason, error.retryable?, error.component]
    assert_nil p.state.get("a")
  end

  def test_a_deadline_is_an_error_of_its_own
    error = assert_raises(Pillion::Deadline) { hang(timeout: 0.05) }
    assert_equal "request.deadline_exceeded", error.reason
  end

  def test_one_of_many_that_cannot_be_read_is_raised
    p.fail("state", operation: "get_many", times: 1)
    assert_raises(Pillion::Unavailable) { p.state.get_many(%w[a b]) }
  end

  def test_a_closed_runtime_says_so_and_closes_again
    p.close
    p.close
    assert_equal "runtime.closed", assert_raises(Pillion::Error) { p.state.get("a") }.reason
  end

  def test_a_file_that_is_none_is_refused_by_name
    error = assert_raises(Pillion::Error) { Pillion.embedded(config_file: "/nowhere/pillion.yaml") }
    assert_includes error.message, "/nowhere/pillion.yaml"
  end

  def test_what_is_wrong_in_the_call_is_rubys_own_error
    assert_raises(ArgumentError) { p.state.set("a", "1", if_absent: true, if_match: "1-x") }
    assert_raises(ArgumentError) { p.state.get("a", consistency: :sometimes) }
    assert_raises(ArgumentError) { p.apis.state.get("a", wait: 3) }
    assert_raises(TypeError) { p.state.get(3) }
    assert_raises(RangeError) { p.apis.state.list("", page_size: 2**40) }
  end
end
