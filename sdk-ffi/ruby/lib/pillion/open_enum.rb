# frozen_string_literal: true

module Pillion
  # Enums that may get values this gem does not know: `Consistency.of(:strong)`, `Consistency.of(2)`.
  # A value that is not known keeps its number.
  module OpenEnum
    # The value of a name or number; a value is itself.
    def of(value)
      case value
      when nil then nil
      when Symbol then named(value).new
      when Integer then self::OTHER.new(number: value)
      else value
      end
    end
    alias [] of

    private

    def named(name)
      self::NAMES.fetch(name) do
        raise ArgumentError, "#{self} has no value #{name.inspect}, but #{self::NAMES.keys.map(&:inspect).join(", ")}"
      end
    end

    # What each value can do.
    module Value
      # @return [Symbol, Integer] the name, or the number of a value that is not known
      def to_sym
        self.class.superclass::NAMES.key(self.class) || number
      end

      def inspect
        "#<#{self.class.superclass} #{to_sym}>"
      end
    end
  end
end
