# frozen_string_literal: true

module Pillion
  # What every failed call raises; there is a class for each category.
  class Error < StandardError
    # @return [ErrorInfo] all of it, as the runtime gave it
    attr_reader :info

    # The exception for what the runtime said.
    def self.of(info)
      ERRORS.fetch(info.category.to_sym, Internal).new(info)
    end

    def initialize(info)
      @info = info
      super([info.message, info.advice].reject(&:empty?).join("; "))
    end

    # @return [String] the code, which `pillion explain` knows: `state.etag_mismatch`
    def reason = info.reason

    # @return [Symbol] `:rejected` if nothing happened, `:unknown` if the call may have taken effect
    def outcome = info.outcome.to_sym

    # @return [Boolean] whether trying again later may succeed
    def retryable? = info.retryable

    # @return [String, nil] the component that failed
    def component = info.component.empty? ? nil : info.component

    # @return [Hash{String => String}] details for programs
    def metadata = info.metadata

    # @return [Numeric, nil] seconds to wait at least before trying again
    def retry_after = info.retry_after

    # @return [String] what to do next
    def advice = info.advice
  end
end
