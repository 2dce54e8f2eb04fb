# frozen_string_literal: true

module Pillion
  # Moments are Time in UTC, lengths of time are numbers of seconds.
  module Times
    NANOS = 1_000_000_000

    def self.moment(parts)
      Time.at(parts.seconds, parts.nanos, :nanosecond, in: "UTC")
    end

    def self.moment_parts(time)
      TimeParts.new(seconds: time.to_i, nanos: time.nsec)
    end

    # Whole seconds as an Integer, others as a Float.
    def self.length(parts)
      parts.nanos.zero? ? parts.seconds : (parts.seconds + Rational(parts.nanos, NANOS)).to_f
    end

    def self.length_parts(seconds)
      nanos = (seconds.to_r * NANOS).round
      whole = nanos.abs / NANOS
      rest = nanos.abs % NANOS
      sign = nanos.negative? ? -1 : 1
      TimeParts.new(seconds: sign * whole, nanos: sign * rest)
    end
  end
end
