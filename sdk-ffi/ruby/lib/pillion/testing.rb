# frozen_string_literal: true

require "pillion"
require_relative "gen/testing"

module Pillion
  # For tests of programs: a runtime in the test's process, whose clock moves and whose components fail on
  # demand. It has no ports and no files, so tests may run at the same time.
  #
  #   require "pillion/testing"
  #
  #   Pillion::Testing.open do |p|
  #     p.state.set("cart:42", { "items" => 3 }, ttl: 600)
  #     p.clock.advance("10m")
  #     p.state.get("cart:42")  # => nil
  #   end
  module Testing
    # A runtime of its own, in memory or as a configuration file says. With a block it is closed at its end.
    # @return [Runtime]
    def self.open(config_file: nil, &block)
      options = FfiEmbedded.new(config_file: config_file, testing: true)
      Pillion.scoped(Runtime.new(FfiRuntime.embedded(options)), &block)
    end

    # A runtime for tests, and what tests do to it.
    class Runtime < Pillion::Runtime
      # The clock from which components take the time.
      # @return [Clock]
      def clock = Clock.new(self)

      # From now on, calls that match fail as if their component had failed, and have no effect.
      #
      #   p.fail("state", operation: "set", after: 2)
      #
      # @param block [String] the building block: `state`
      # @param component [String] one component of the block; empty for all
      # @param operation [String] one method: `get`, `set_many`; empty for all
      # @param after [Integer] how many matching calls are let through first
      # @param times [Integer] how many matching calls fail then; 0 for all until {#reset}
      # @param reason [String] the reason they fail with; empty for `component.unavailable`
      def fail(block, component: "", operation: "", after: 0, times: 0, reason: "")
        apis.testing.fail(block, component: component, operation: operation, after: after, times: times, reason: reason)
        nil
      end

      # Takes every fault back. The clock stays where it is.
      def reset
        apis.testing.reset
        nil
      end
    end

    # The clock of a runtime for tests.
    class Clock
      UNITS = { "ms" => 1/1000r, "s" => 1, "m" => 60, "h" => 3600, "d" => 86_400 }.freeze
      private_constant :UNITS

      # @api private
      def initialize(runtime)
        @runtime = runtime
      end

      # Moves it forward at once: entries whose lifetime ends by then are expired when this returns.
      # @param by [Numeric, String] seconds, or text such as `10m` or `1h30m`
      def advance(by)
        @runtime.apis.testing.advance_clock(by.is_a?(String) ? seconds(by) : by)
        nil
      end

      private

      def seconds(text)
        parts = text.scan(/(\d+(?:\.\d+)?)(ms|[smhd])/)
        unless parts.any? && parts.join == text
          raise ArgumentError, "`#{text}` is no length of time; write it like `10m`, `1h30m` or `250ms`"
        end

        parts.sum { |number, unit| number.to_r * UNITS.fetch(unit) }
      end
    end
  end
end
