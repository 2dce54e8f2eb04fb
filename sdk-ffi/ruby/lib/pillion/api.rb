# frozen_string_literal: true

module Pillion
  # The calls of every building block, as they are in the contract.
  class Apis
    # @api private
    def initialize(ffi)
      @ffi = ffi
    end
  end

  # The calls of one building block.
  class Api
    # @api private
    def initialize(ffi)
      @ffi = ffi
    end

    private

    # Makes a call. Each takes `timeout:` in seconds, `app_id:`, `token:`, `traceparent:` and `cancel:`.
    def perform(call)
      options = Calls.options(**call)
      Calls.translated { yield options }
    end
  end
end
