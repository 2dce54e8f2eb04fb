# frozen_string_literal: true

module Pillion
  # Where the native library is.
  module Library
    NAMES = ["libpillion_ffi.so", "libpillion_ffi.dylib", "pillion_ffi.dll"].freeze

    # The path of the library: what PILLION_FFI_LIBRARY says, otherwise the one that came with the gem.
    def self.path
      chosen = ENV.fetch("PILLION_FFI_LIBRARY", "")
      return chosen unless chosen.empty?

      NAMES.map { |name| File.join(__dir__, name) }.find { |path| File.exist?(path) } ||
        raise(LoadError, "pillion: the gem for this platform has no native library in #{__dir__}; " \
                         "install the gem that is built for #{RUBY_PLATFORM}, or set PILLION_FFI_LIBRARY")
    end
  end
end
