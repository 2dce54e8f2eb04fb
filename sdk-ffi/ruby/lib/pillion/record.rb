# frozen_string_literal: true

module Pillion
  # What every message can do beside giving its fields: it is frozen, it compares by its fields, and patterns
  # match it: `case entry in { key:, etag: }`.
  module Record
    def initialize(**)
      super
      freeze
    end

    # @return [Hash{Symbol => Object}] the fields by their names
    def to_h
      instance_variables.to_h { |name| [name.to_s.delete_prefix("@").to_sym, instance_variable_get(name)] }
    end

    def deconstruct_keys(_names) = to_h

    def ==(other)
      other.instance_of?(self.class) && super
    end
  end
end
