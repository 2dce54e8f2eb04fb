# frozen_string_literal: true

module Pillion
  # Values under keys, in one store.
  class State
    # @api private
    def initialize(ffi, name = "", **call)
      @ffi = ffi
      @name = name
      @call = call
      @api = StateApi.new(ffi.state)
    end

    # The store that is declared under this name.
    def store(name) = State.new(@ffi, name, **@call)

    # The same store, with other options for its calls: `timeout:` in seconds, `app_id:`, `token:`,
    # `traceparent:`, `cancel:`.
    def with(**call) = State.new(@ffi, @name, **@call, **call)

    # The value under a key; nil if there is none.
    def get(key, consistency: :unspecified)
      get_entry(key, consistency: consistency)&.object
    end

    # The entry under a key, with its etag, content type and remaining lifetime; nil if there is none.
    # @return [StateEntry, nil]
    def get_entry(key, consistency: :unspecified)
      @api.get(key, store: @name, consistency: consistency, **@call).entry
    end

    # Many values by their keys; only those that there are.
    # @return [Hash{String => Object}]
    # @raise [Error] what kept one of them from being read
    def get_many(keys, consistency: :unspecified)
      results = @api.get_many(keys, store: @name, consistency: consistency, **@call).results
      results.each_with_object({}) do |result, found|
        raise Error.of(result.error) if result.error

        found[result.key] = result.entry.object if result.entry
      end
    end

    # Writes a value: a binary string as bytes, another string as text, anything else as JSON.
    #
    # @param ttl [Numeric, nil] seconds until it is gone
    # @param if_absent [Boolean] only if there is no entry
    # @param if_match [String, nil] only if the entry has this etag
    # @return [StateSetResponse] with the etag and what the acknowledgement is worth
    # @raise [Conflict] if somebody else was faster
    def set(key, value, ttl: nil, keep_ttl: false, if_absent: false, if_match: nil, consistency: :unspecified,
            idempotency_key: "")
      @api.set(key, Value.of(value), store: @name, condition: condition(if_absent, if_match), ttl: ttl,
                                     keep_ttl: keep_ttl, consistency: consistency, idempotency_key: idempotency_key,
                                     **@call)
    end

    # Deletes an entry.
    # @return [Boolean] whether there was one
    def delete(key, if_match: nil, consistency: :unspecified, idempotency_key: "")
      @api.delete(key, store: @name, condition: condition(false, if_match), consistency: consistency,
                       idempotency_key: idempotency_key, **@call).existed
    end

    # The entries whose key begins with `prefix`, fetched page by page as they are needed.
    # @return [Stream<StateEntry>]
    def list(prefix = "", page_size: nil, &block)
      Stream.over(entries(prefix, false, page_size), &block)
    end

    # The keys that begin with `prefix`.
    # @return [Enumerator::Lazy<String>]
    def keys(prefix = "", page_size: nil)
      Stream.new(entries(prefix, true, page_size)).lazy.map(&:key)
    end

    # Reports the entries whose key begins with `prefix` (or the one at `key`), then a `synced`, and then
    # every change. A lost connection is made again; what may have been missed is said by a `resync`.
    # @return [Stream<StateChange>]
    def watch(prefix = "", key: nil, &block)
      Stream.over(@ffi.watch_state(@name, prefix, key, Calls.options(**@call)), &block)
    end

    private

    def entries(prefix, keys_only, page_size)
      @ffi.list_state(@name, prefix, keys_only, page_size, Calls.options(**@call))
    end

    def condition(if_absent, if_match)
      raise ArgumentError, "if_absent and if_match exclude each other" if if_absent && if_match

      if if_absent
        StateCondition.new(kind: StateConditionKind::IF_ABSENT.new(value: StateIfAbsent.new))
      elsif if_match
        StateCondition.new(kind: StateConditionKind::IF_MATCH.new(value: if_match))
      end
    end
  end

  # An entry of a store.
  class StateEntry
    # The value as the object that it was made of.
    def object = value&.object
  end
end
