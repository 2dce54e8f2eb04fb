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

  # Making calls: options in, exceptions out.
  module Calls
    module_function

    # @param timeout [Numeric, nil] seconds the call may take; for a stream, the whole stream
    # @param app_id [String, nil] the application on whose behalf it is made
    # @param token [String, nil] the token of the sidecar
    # @param traceparent [String, nil] the W3C trace it is part of
    # @param cancel [Cancel, nil] what gives it up
    def options(timeout: nil, app_id: nil, token: nil, traceparent: nil, cancel: nil)
      FfiCall.new(timeout: timeout, app_id: app_id, token: token, trace: traceparent, cancel: cancel&.ffi)
    end

    # Runs the block; what it raises becomes an {Error}.
    def translated
      yield
    rescue FfiError::Failed => e
      raise Error.of(e.info), cause: nil
    rescue InternalError => e
      raise Internal.new(panic(e.message)), cause: nil
    end

    def panic(message)
      ErrorInfo.new(category: Category.of(:internal), reason: "runtime.internal", message: "the call panicked: #{message}",
                    outcome: Outcome.of(:unknown), retryable: false, component: "", metadata: {}, retry_after: nil,
                    advice: "this is a defect; please report it")
    end
  end
end
