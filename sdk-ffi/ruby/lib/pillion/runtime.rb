# frozen_string_literal: true

module Pillion
  # A runtime: in this process, or a sidecar.
  class Runtime
    # @api private
    def initialize(ffi)
      @ffi = ffi
    end

    # The default state store; `p.state.store("orders")` is a named one.
    # @return [State]
    def state = State.new(@ffi)

    # The calls as they are in the contract.
    # @return [Apis]
    def apis = Apis.new(@ffi)

    # Waits until every component can be used, for so many seconds.
    # @raise [Error] what was still in the way
    def wait_ready(timeout = 30)
      @ffi.wait_ready(timeout)
      self
    end

    # Closes the connection, or stops the runtime. Streams end, and later calls fail with `runtime.closed`.
    def close
      @ffi.shut
      nil
    end
  end

  class << self
    # The sidecar at PILLION_ENDPOINT if that is set, otherwise a runtime in this process. With a block the
    # runtime is closed at its end.
    # @return [Runtime]
    def open(&block)
      scoped(Runtime.new(FfiRuntime.open), &block)
    end

    # A runtime in this process: in memory, or in a folder, or as a configuration file says. With a block it is
    # closed at its end.
    # @return [Runtime]
    def embedded(data_dir: nil, config_file: nil, app_id: nil, &block)
      options = FfiEmbedded.new(data_dir: data_dir, config_file: config_file, app_id: app_id)
      scoped(Runtime.new(FfiRuntime.embedded(options)), &block)
    end

    # A sidecar: `http://HOST:PORT` or `unix:///PATH`. Nothing is connected until the first call. With a block
    # the connection is closed at its end.
    # @return [Runtime]
    def connect(url = "http://127.0.0.1:34904", token: nil, app_id: nil, timeout: nil, retries: nil, connections: nil,
                &block)
      options = FfiConnect.new(token: token, app_id: app_id, timeout: timeout, retries: retries,
                               connections: connections)
      scoped(Runtime.new(FfiRuntime.connect(url, options)), &block)
    end

    # The runtime, or with a block what that gives; the runtime is closed at its end.
    # @api private
    def scoped(runtime)
      return runtime unless block_given?

      begin
        yield runtime
      ensure
        runtime.close
      end
    end
  end
end
