# frozen_string_literal: true

require_relative "lib/pillion/version"

Gem::Specification.new do |spec|
  spec.name = "pillion"
  spec.version = Pillion::VERSION
  spec.summary = "State and more for Ruby programs, in-process or against a Pillion sidecar"
  spec.authors = ["The Pillion authors"]
  spec.homepage = "https://github.com/pillion-dev/pillion"
  spec.license = "Apache-2.0"
  spec.required_ruby_version = ">= 3.1"
  # The gem holds a native library, so there is one for each platform.
  spec.platform = Gem::Platform.local
  spec.files = Dir.chdir(__dir__) { Dir["lib/**/*", "README.md", "LICENSE"] }
  spec.require_paths = ["lib"]
  spec.add_dependency "ffi", "~> 1.15"
end
