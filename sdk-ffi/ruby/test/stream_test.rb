# frozen_string_literal: true

require_relative "support"

class StreamTest < Case
  def numbers(count, **rest, &block)
    p.apis.shapes.expand(count, **rest, &block)
  end

  def test_lists_are_enumerable_and_page_by_themselves
    5.times { |i| p.state.set("k#{i}", i) }
    assert_equal [0, 1, 2, 3, 4], p.state.list("k", page_size: 2).map(&:object)
    assert_equal %w[k0 k1], p.state.keys("k", page_size: 2).first(2)
    assert_equal [["k0", 0], ["k1", 1]], p.state.list("k").first(2).each_with_index.map { |e, i| [e.key, i] }
    assert_equal 10, p.state.list("k").sum(&:object)
    assert_equal [], p.state.list("none").to_a
  end

  def test_a_list_fetches_no_more_than_was_asked_for
    5.times { |i| p.state.set("k#{i}", i) }
    # The second page would fail.
    p.fail("state", operation: "list", after: 1)
    assert_equal %w[k0 k1], p.state.keys("k", page_size: 2).first(2)
    assert_raises(Pillion::Unavailable) { p.state.list("k", page_size: 2).to_a }
  end

  def test_a_stream_is_an_enumerator
    assert_equal [1, 2, 3], numbers(3).map(&:index).map(&:succ)
    found = []
    numbers(3) { |answer| found << answer.index }
    assert_equal [0, 1, 2], found
    assert_equal [0, 10], numbers(5).lazy.map { |answer| answer.index * 10 }.first(2)
    assert_equal [[0, "a"], [1, "b"]], numbers(2).each.with_index.map { |answer, i| [i, %w[a b][answer.index]] }
    each = numbers(2).each
    assert_equal [0, 1], [each.next.index, each.next.index]
    assert_raises(StopIteration) { each.next }
    assert Ractor.shareable?(numbers(1).first)
  end

  def test_leaving_a_loop_ends_the_call
    numbers(3, _then: :hang) { |answer| break if answer.index == 1 }
    assert_dropped 1
    assert_raises(KeyError) { numbers(3, _then: :hang) { raise KeyError } }
    assert_dropped 2
    assert_equal 0, numbers(3, _then: :hang).first.index
    assert_dropped 3
    catch(:found) { numbers(3, _then: :hang).each { throw :found } }
    assert_dropped 4
  end

  def test_a_closed_stream_wakes_who_waits_for_it
    stream = numbers(0, _then: :hang)
    waiting = Thread.new { stream.next }
    waiting.report_on_exception = false
    eventually("under way") { calls_under_way?(1) }
    stream.close
    assert_raises(Pillion::Cancelled) { waiting.value }
    stream.close
    assert_dropped 1
  end

  def test_a_stream_ends_with_its_error_after_what_came_before
    found = []
    error = assert_raises(Pillion::Error) { numbers(2, _then: :fail) { |answer| found << answer.index } }
    assert_equal [0, 1], found
    assert_includes Pillion::ERRORS.values, error.class
    assert_raises(Pillion::Internal) { numbers(2, _then: :panic).to_a }
    assert_equal 3, numbers(3).count
  end

  def test_an_upload_is_complete_only_when_it_is_finished
    part = Pillion::TestingCollectRequestPart
    send = lambda do |upload, size|
      upload << Pillion::TestingCollectRequest.new(part: part::CHUNK.new(value: "x" * size))
    end
    upload = p.apis.shapes.collect
    3.times { send.call(upload, 10) }
    upload << Pillion::TestingCollectRequest.new(part: part::TOTAL.new(value: 30))
    assert_equal 30, upload.finish.received
    assert_raises(Pillion::Invalid) { send.call(upload, 1) }
    [:close, -> { _1.fail("no more") }].each do |ending|
      upload = p.apis.shapes.collect
      send.call(upload, 10)
      ending.to_proc.call(upload)
    end
    eventually("ended") { calls_under_way?(0) }
    assert_equal 1, p.apis.shapes.count.uploads
  end

  def test_a_conversation_goes_both_ways
    talk = p.apis.shapes.converse
    talk << Pillion::TestingConverseRequest.new(text: "a")
    assert_equal "A", talk.next.text
    talk.push(Pillion::TestingConverseRequest.new(text: "b")).finish
    assert_equal ["B"], talk.map(&:text)
  end

  def test_a_watch_reports_what_happens
    p.state.set("a", "1")
    changes = p.state.watch
    assert_equal "1", changes.next.entry.object
    assert_predicate changes.next, :synced?
    p.state.set("b", "2")
    assert_equal ["b", "2"], changes.next.entry.then { [_1.key, _1.object] }
    p.state.delete("a")
    assert_equal ["a", false], changes.next.then { [_1.key, _1.expired] }
    changes.close
    assert_raises(Pillion::Cancelled) { changes.next.nil? && raise(Pillion::Cancelled.new(changes_ended)) }
  end

  def test_a_watch_of_one_key_sees_it_expire
    p.state.set("a", "1", ttl: 60)
    found = []
    p.state.watch(key: "a") do |change|
      p.clock.advance("1m") if change.synced?
      found << change
      break if change.deleted?
    end
    assert_equal [true, true], [found.last.deleted?, found.last.expired]
  end
end
