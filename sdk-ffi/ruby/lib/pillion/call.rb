# frozen_string_literal: true

module Pillion
  # Gives up the calls it was handed to, from any thread: `p.apis.state.get("a", cancel: cancel)`.
  class Cancel
    # @api private
    attr_reader :ffi

    def initialize
      @ffi = FfiCancel.new
    end

    # Drops every call that has it, now and later.
    def cancel
      @ffi.cancel
    end

    def cancelled? = @ffi.is_cancelled
  end

  # How one call differs from the others.
  # @api private
  module Calls
    # @param timeout [Numeric, nil] seconds the call may take; for a stream, the whole stream
    # @param app_id [String, nil] the application on whose behalf it is made
    # @param token [String, nil] the token of the sidecar
    # @param traceparent [String, nil] the W3C trace it is part of
    # @param cancel [Cancel, nil] what gives it up
    def self.options(timeout: nil, app_id: nil, token: nil, traceparent: nil, cancel: nil)
      FfiCall.new(timeout: timeout, app_id: app_id, token: token, trace: traceparent, cancel: cancel&.ffi)
    end
  end
end
