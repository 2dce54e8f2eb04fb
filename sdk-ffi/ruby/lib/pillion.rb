# frozen_string_literal: true

# The bridge waits with `IO#wait_readable`, which Ruby 3.1 has only after this.
require "io/wait"
require "json"

require_relative "pillion/version"
require_relative "pillion/library"
require_relative "pillion/times"
require_relative "pillion/native"
require_relative "pillion/open_enum"
require_relative "pillion/record"
require_relative "pillion/gen/types"
require_relative "pillion/error"
require_relative "pillion/gen/errors"
require_relative "pillion/bridge"
require_relative "pillion/call"
require_relative "pillion/stream"
require_relative "pillion/api"
require_relative "pillion/gen/apis"
require_relative "pillion/value"
require_relative "pillion/state"
require_relative "pillion/runtime"

# State and more: in this process, or against a sidecar.
#
#   require "pillion"
#   p = Pillion.open        # the sidecar at PILLION_ENDPOINT if set, else a runtime in this process
#   p.state.set("cart:42", { "items" => 3 })
#   p.state.get("cart:42")  # => {"items"=>3}
#
# Calls block their thread and no other; `Timeout.timeout` and `Thread#kill` cancel them.
module Pillion
end
