# frozen_string_literal: true

require_relative "support"

class ValueTest < Case
  Point = Struct.new(:x, :y)

  def test_values_come_back_as_what_they_were
    [{ "items" => [1, nil, 2.5] }, "é", "", "\xFF\x00".b, "".b, 3, 2**60, -1.5, true, false, nil, []].each do |value|
      p.state.set("key", value)
      found = p.state.get("key")
      assert_equal [value, value.class], [found, found.class]
      next unless value.is_a?(String)

      assert_equal value.encoding, found.encoding
      refute_predicate found, :frozen?
    end
  end

  def test_what_is_not_json_becomes_it_or_is_refused
    p.state.set("a", { key: :value })
    assert_equal({ "key" => "value" }, p.state.get("a"))
    p.state.set("a", Point.new(1, 2))
    assert_equal({ "x" => 1, "y" => 2 }, p.state.get("a"))
    p.state.set("a", "é".encode(Encoding::ISO_8859_1))
    assert_equal "é", p.state.get("a")
    assert_raises(TypeError) { p.state.set("a", Object.new) }
    assert_raises(ArgumentError) { p.state.set("a", "\xFF") }
  end

  def test_an_entry_has_more_than_its_value
    assert_nil p.state.get_entry("a")
    p.state.set("a", { "n" => 1 }, ttl: 600)
    entry = p.state.get_entry("a")
    assert_equal ["a", { "n" => 1 }, "application/json"], [entry.key, entry.object, entry.value.content_type]
    assert_operator entry.expires_in, :<=, 600
    assert_operator entry.expires_in, :>, 0
    p.state.set("a", { "n" => 2 }, if_match: entry.etag, keep_ttl: true)
    refute_nil p.state.get_entry("a").expires_in
  end

  def test_many_values_at_once
    p.state.set("a", 1)
    p.state.set("b", "2")
    assert_equal({ "a" => 1, "b" => "2" }, p.state.get_many(%w[a b c]))
    assert_equal [true, false], [p.state.delete("a"), p.state.delete("a")]
  end

  def test_results_are_frozen_and_patterns_match_them
    p.state.set("a", "1")
    entry = p.state.get_entry("a")
    assert Ractor.shareable?(entry)
    assert_raises(FrozenError) { entry.key << "b" }
    assert_raises(FrozenError) { entry.instance_variable_set(:@key, "b") }
    assert_raises(NoMethodError) { entry.key = "b" }
    found = case entry
            in { key: "a", etag:, value: { content_type: } } then [etag, content_type]
            end
    assert_equal [entry.etag, "text/plain; charset=utf-8"], found
    assert_equal %i[key value etag expires_in].sort, entry.to_h.keys.sort
  end

  def test_records_compare_by_their_fields
    make = ->(key) { Pillion::StateGetRequest.new(key: key, consistency: Pillion::Consistency.of(:strong)) }
    assert_equal make["a"], make["a"]
    refute_equal make["a"], make["b"]
    refute_equal make["a"], "a"
    refute_equal make["a"], nil
  end

  def test_what_was_handed_over_is_left_as_it_was
    keys = +"a"
    list = [keys]
    p.state.get_many(list)
    refute_predicate keys, :frozen?
    refute_predicate list, :frozen?
  end

  def test_enums_have_names_and_keep_numbers_that_are_not_known
    durability = p.state.set("a", "1").durability
    assert_equal :memory, durability.local.to_sym
    assert_predicate durability.local, :memory?
    assert_equal 77, Pillion::Consistency.of(77).to_sym
    kinds = Pillion::TestingKinds.new(**kinds_with(color: Pillion::TestingColor.of(:red),
                                                   optional_color: Pillion::TestingColor.of(77)))
    found = p.apis.shapes.echo(kinds).kinds
    assert_equal [:red, 77], [found.color.to_sym, found.optional_color.to_sym]
  end

  def test_kinds_of_fields
    at = Time.at(-1, 999_999_999, :nanosecond, in: "UTC")
    kinds = kinds_with(uint64_value: 2**64 - 1, int64_value: -2**63, bytes_value: "\xFF".b, at: at, lasts: -1.5,
                       labels: { "a" => "b" }, numbers: { -1 => 2 }, strings: ["x"], double_value: Float::INFINITY,
                       choice: Pillion::TestingKindsChoice::TEXT.new(value: "t"))
    found = p.apis.shapes.echo(Pillion::TestingKinds.new(**kinds)).kinds
    assert_equal kinds[:uint64_value], found.uint64_value
    assert_equal kinds[:int64_value], found.int64_value
    assert_equal "\xFF".b, found.bytes_value
    assert_equal Encoding::BINARY, found.bytes_value.encoding
    assert_equal [at, 999_999_999], [found.at, found.at.nsec]
    assert_in_delta(-1.5, found.lasts)
    assert_equal [{ "a" => "b" }, { -1 => 2 }, ["x"]], [found.labels, found.numbers, found.strings]
    assert_predicate found.choice, :text?
    assert_raises(RangeError) { p.apis.shapes.echo(Pillion::TestingKinds.new(**kinds, uint32_value: -1)) }
  end

  def test_two_runtimes_share_nothing
    Pillion.embedded do |other|
      p.state.set("a", "1")
      assert_nil other.state.get("a")
      other.state.set("a", "2")
    end
    assert_equal "1", p.state.get("a")
  end

  private

  # Fields that have no default in the records.
  def kinds_with(**fields)
    { bytes_value: "", color: Pillion::TestingColor.of(:unspecified), labels: {}, children: {}, numbers: {}, **fields }
  end
end
