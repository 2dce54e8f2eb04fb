# frozen_string_literal: true

module Pillion
  # Bytes and what they are. Binary strings are bytes, other strings are text, anything else is JSON.
  class Value
    BYTES = "application/octet-stream"
    TEXT = "text/plain; charset=utf-8"
    JSON = "application/json"
    private_constant :BYTES, :TEXT, :JSON

    def self.of(object)
      case object
      when Value then object
      when String
        binary = object.encoding == Encoding::BINARY
        new(data: binary ? object : object.encode(Encoding::UTF_8), content_type: binary ? BYTES : TEXT)
      else new(data: ::JSON.generate(object), content_type: JSON)
      end
    end

    # The object that it was made of; the content type says which.
    def object
      case content_type
      when %r{\A(application/json|[^;]*\+json)\s*(;|\z)}i then ::JSON.parse(data)
      when %r{\Atext/}i then data.dup.force_encoding(Encoding::UTF_8)
      else data
      end
    end
  end
end
