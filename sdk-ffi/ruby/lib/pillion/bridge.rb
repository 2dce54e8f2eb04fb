# frozen_string_literal: true

module Pillion
  # What stands between UniFFI's classes and the native library: every call of it comes through here.
  # @api private
  module Bridge
    WAKE = FFI::Function.new(:void, %i[uint64 int8], UniFFILib.ffi_libraries.first.find_function("pillion_wake"))
    READY = 0
    # Pipes into which the library may still write.
    ABANDONED = []
    private_constant :WAKE, :READY, :ABANDONED

    # Makes a call: what it failed with becomes an {Error}, a panic in it an {Internal}.
    def rust_call_with_error(...)
      super
    rescue FfiError::Failed => e
      raise Error.of(e.info), cause: nil
    rescue InternalError => e
      raise Internal.new(Bridge.panic(e.message)), cause: nil
    end

    # Waits for a call with no lock held. UniFFI would have the library's threads call Ruby, for which ffi has a
    # thread that is not there after a fork. Here they write into a pipe.
    def uniffi_rust_call_async(future, poll, cancel, complete, free, lift, errors)
      reader, writer = pipe = IO.pipe
      code = nil
      until code == READY
        polled = true
        UniFFILib.public_send(poll, future, WAKE, writer.fileno)
        reader.wait_readable
        code = reader.getbyte
        polled = false
      end
      lift.call(errors ? rust_call_with_error(errors, complete, future) : rust_call(complete, future))
    ensure
      Thread.handle_interrupt(Object => :never) do
        # Whoever was interrupted drops the call, and is written to once more.
        UniFFILib.public_send(cancel, future) if polled
        polled && !reader.wait_readable(1) ? ABANDONED << pipe : pipe&.each(&:close)
        UniFFILib.public_send(free, future)
      end
    end

    def self.panic(message)
      ErrorInfo.new(category: Category.of(:internal), reason: "runtime.panic", message: "the call panicked: #{message}",
                    outcome: Outcome.of(:unknown), retryable: false, component: "", metadata: {}, retry_after: nil,
                    advice: "this is a defect; please report it")
    end
  end

  singleton_class.prepend(Bridge)
end
