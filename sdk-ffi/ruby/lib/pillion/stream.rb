# frozen_string_literal: true

module Pillion
  # What can be closed: dropping it has the same effect, later.
  class Closeable
    # @api private
    def initialize(ffi)
      @ffi = ffi
    end

    # Ends the call, and whatever waits for it.
    def close
      @ffi.shut
    end
  end

  # Answers that are taken one by one.
  module Answers
    include Enumerable

    # The next answer; nil at the end.
    # @raise [Error] the error that ended the stream
    def next(cancel: nil)
      Ractor.make_shareable(@ffi.next(cancel&.ffi))
    end

    # Yields every answer, and closes the stream.
    def each
      return to_enum unless block_given?

      begin
        while (answer = self.next)
          yield answer
        end
      ensure
        close
      end
    end
  end

  # Messages that are given one by one.
  module Requests
    # Sends a message; waits while the other side is behind.
    def push(message, cancel: nil)
      @ffi.send(message, cancel&.ffi)
      self
    end
    alias << push

    # Ends the sending side with an error: what was sent never looks complete.
    def fail(message = "the upload failed")
      @ffi.fail(message)
    end
  end

  # A call that gives many answers.
  class Stream < Closeable
    include Answers

    # The stream, or with a block its answers, one after the other.
    def self.over(ffi, &block)
      stream = new(ffi)
      block ? stream.each(&block) : stream
    end
  end

  # A call that takes many messages and gives one answer.
  class Upload < Closeable
    include Requests

    # Ends the sending side well.
    # @return the answer
    def finish(cancel: nil)
      Ractor.make_shareable(@ffi.finish(cancel&.ffi))
    end
  end

  # A call that takes many messages and gives many answers.
  class Conversation < Closeable
    include Answers
    include Requests

    # Ends the sending side well; the answers go on.
    def finish
      @ffi.finish
    end
  end
end
