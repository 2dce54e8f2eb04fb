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
      yield Calls.options(**call)
    end

    # Makes a call that has one answer, which is frozen down to its leaves.
    def answer(call, &make)
      Ractor.make_shareable(perform(call, &make))
    end
  end
end
