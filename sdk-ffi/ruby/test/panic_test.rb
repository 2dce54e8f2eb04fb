# frozen_string_literal: true

require_relative "support"

# How a method is called with JSON, and its messages made of JSON and written as such.
Row = Struct.new(:shape, :call, :read, :write)
require_relative "gen/methods"

# A panic in every function that the library exports is an exception, and the program goes on.
class PanicTest < Case
  # For the scenario runner's driver, and not in a release.
  TESTS_ONLY = /_(from|to)_json\z|\Apanic_after\z/

  # Runs the block with a panic in the first exported function that it enters, in the second, and so on,
  # until none is left.
  def panics
    (0..).each do |others|
      Pillion.panic_after(others)
      error = begin
        yield
        nil
      rescue Pillion::Internal => e
        e
      end
      Pillion.panic_after(nil)
      break if error.nil?

      assert_equal ["runtime.panic", :unknown, false], [error.reason, error.outcome, error.retryable?]
      met << error.message[/told to, in (\w+\.\w+)/, 1]
    end
  end

  def met = @met ||= Set.new

  # What UniFFI made of the exported functions.
  def exported
    objects = Pillion.constants.grep(/\AFfi/).map { Pillion.const_get(_1) }.select { _1.is_a?(Class) && _1.respond_to?(:uniffi_lift) }
    objects.flat_map do |object|
      methods = object.instance_methods(false) + object.singleton_methods(false)
      methods << :new if object.private_method_defined?(:initialize, false)
      methods.grep_v(/\Auniffi/).map { |method| "#{object.name.delete_prefix("Pillion::")}.#{method}" }
    end.to_set
  end

  def test_a_panic_in_every_exported_function_is_an_exception
    open_and_close
    lists_and_watches
    every_method
    assert_equal exported, met
    functions = Pillion.singleton_methods(false).grep(/_(from|to)_json\z|panic/)
    assert_empty functions.grep_v(TESTS_ONLY)
    p.state.set("a", "1")
    assert_equal "1", p.state.get("a")
  end

  def test_a_panic_while_a_call_runs_is_an_exception
    3.times do
      error = assert_raises(Pillion::Internal) { act(:panic, after: 0.01) }
      assert_equal "runtime.panic", error.reason
      assert_raises(Pillion::Internal) { act(:panic) }
      assert_raises(Pillion::Internal) { p.apis.shapes.expand(2, _then: :panic).to_a }
    end
    assert_equal 1, p.apis.shapes.expand(1).count
  end

  private

  def open_and_close
    panics { Pillion.open(&:wait_ready) }
    panics { Pillion.embedded.close }
    panics { Pillion.connect.close }
    panics { Pillion::Cancel.new.tap(&:cancel).cancelled? }
  end

  def lists_and_watches
    panics { p.state.list.tap(&:next).close }
    panics { p.state.watch.tap(&:next).close }
  end

  # Those of the contract, by the table that the drivers have too.
  def every_method
    METHODS.each_value do |row|
      panics do
        answer = whatever_it_answers { row.call.call(p, "{}", {}) }
        use(answer, row) unless row.shape == :unary
      end
    end
  end

  def use(stream, row)
    unless row.shape == :download
      message = row.read.call("{}")
      [-> { stream.push(message) }, -> { stream.fail }, -> { stream.finish }].each { |step| whatever_it_answers(&step) }
    end
    whatever_it_answers { stream.next } unless row.shape == :upload
    stream.close
  end

  # An empty request may be refused; that is not what this is about.
  def whatever_it_answers
    yield
  rescue Pillion::Internal
    raise
  rescue Pillion::Error
    nil
  end
end
