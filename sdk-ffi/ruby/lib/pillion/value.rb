# frozen_string_literal: true

module Pillion
  # Bytes and what they are. Binary strings are bytes, other strings are text, anything else is JSON.
  class Value
    BYTES = "application/octet-stream"
    TEXT = "text/plain; charset=utf-8"
    JSON = "application/json"
    private_constant :BYTES, :TEXT, :JSON

    # The value of an object; a value is itself.
    # @raise [ArgumentError] for a text that is not valid in its encoding
    # @raise [TypeError] for an object that JSON has no form for
    def self.of(object)
      case object
      when Value then object
      when String then of_string(object)
      else new(data: ::JSON.generate(plain(object)), content_type: JSON)
      end
    end

    def self.of_string(string)
      return new(data: string, content_type: BYTES) if string.encoding == Encoding::BINARY
      raise ArgumentError, "the text is not valid #{string.encoding}; use `b` for bytes" unless string.valid_encoding?

      new(data: string.encode(Encoding::UTF_8), content_type: TEXT)
    end

    # What JSON can say: whatever else there is it would write as its `to_s`, which nobody could read back.
    def self.plain(object)
      case object
      when Hash, Array, Integer, Float, true, false, nil then object
      when ->(other) { other.method(:to_json).owner != Object.instance_method(:to_json).owner } then object
      when ->(other) { other.respond_to?(:to_h) } then object.to_h
      else
        raise TypeError, "JSON has no form for #{object.class}; give a Hash, an Array, a String, a number, true, " \
                         "false or nil"
      end
    end
    private_class_method :of_string, :plain

    # The object that it was made of, anew each time; the content type says which.
    def object
      case content_type
      when %r{\A(application/json|[^;]*\+json)\s*(;|\z)}i then ::JSON.parse(data)
      when %r{\Atext/}i then data.dup.force_encoding(Encoding::UTF_8)
      else data.dup
      end
    end
  end
end
