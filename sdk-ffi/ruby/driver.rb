# frozen_string_literal: true

# The driver of the scenario runner for Ruby: see docs/driver-protocol.md. No method is written here: they
# come from the generated table.

# The gem as it was built for the tests, with the services that only tests have.
$LOAD_PATH.unshift(File.join(ENV.fetch("CARGO_TARGET_DIR") { File.expand_path("../../target", __dir__) }, "sdk-ffi/ruby/lib"))

require "json"
require "pillion/testing"
require_relative "test/gen/apis"

# How a method is called with JSON, and its messages made of JSON and written as such.
Row = Struct.new(:shape, :call, :read, :write)
require_relative "test/gen/methods"

USAGE = "usage: driver.rb [--endpoint URL | --embedded CONFIG.yaml | --memory]"

class Driver
  # Commands under way at once; the next line is read when one ends.
  CONCURRENT = 128

  Opened = Struct.new(:method, :stream)

  def initialize(runtime)
    @p = runtime
    @streams = {}
    @running = {}
    @lock = Mutex.new
    @output = Mutex.new
    @room = SizedQueue.new(CONCURRENT)
  end

  def run
    threads = []
    while (line = $stdin.gets)
      command = parse(line)
      unless command
        answer(nil, error: describe(invalid("the line is no command")))
        next
      end
      @room << true
      cancel = Pillion::Cancel.new
      @lock.synchronize { @running[command[:id]] = cancel }
      threads.reject!(&:stop?)
      threads << Thread.new(command, cancel) { |*arguments| perform(*arguments) }
    end
    threads.each(&:join)
    @p.close
  end

  private

  def parse(line)
    command = JSON.parse(line, symbolize_names: true)
    command if command.is_a?(Hash) && command[:id].is_a?(Integer)
  rescue JSON::ParserError
    nil
  end

  def perform(command, cancel)
    id = command[:id]
    result = obey(id, command, cancel)
    answer(id, result)
  rescue Pillion::Cancelled => e
    # The runtime can say so too; what we gave up ourselves, or closed, has no answer.
    answer(id, cancel.cancelled? || closed?(command[:next]) ? { cancelled: true } : { error: describe(e) })
  rescue Pillion::Error => e
    answer(id, error: describe(e))
  rescue StandardError => e
    warn e.full_message
    answer(id, error: describe(invalid("#{e.class}: #{e.message}")))
  ensure
    @lock.synchronize { @running.delete(id) }
    @room.pop
  end

  def obey(id, command, cancel)
    after(command[:cancel_after] || command.dig(:open, :cancel_after), cancel) do
      case command
      in { api: String, method: String } then call(command, cancel)
      in { open: request } then open(id, request, cancel)
      in { next: stream } then take(opened(stream), cancel)
      in { send: stream, message: } then push(opened(stream), message)
      in { finish: stream } then finish(opened(stream), cancel)
      in { fail: stream } then break_off(opened(stream))
      in { close: stream } then close(stream)
      in { cancel: other } then cancel_other(other)
      in { advance: milliseconds } then advance(milliseconds)
      else raise invalid("the line is no command")
      end
    end
  end

  # Cancels the command after so many milliseconds, unless it was faster.
  def after(milliseconds, cancel)
    return yield unless milliseconds

    timer = Thread.new do
      sleep(milliseconds / 1000.0)
      cancel.cancel
    end
    begin
      yield
    ensure
      timer.kill
    end
  end

  def closed?(stream)
    stream && @lock.synchronize { !@streams.key?(stream) }
  end

  def call(command, cancel)
    method = method_of(command)
    raise invalid("#{command[:method]} has a stream: open it") unless method.shape == :unary

    answered = method.call.call(@p, args(command), options(command, cancel))
    { ok: JSON.parse(method.write.call(answered)) }
  end

  def open(id, request, cancel)
    method = method_of(request)
    raise invalid("#{request[:method]} has no stream: call it") if method.shape == :unary

    stream = method.call.call(@p, args(request), options(request, cancel))
    @lock.synchronize { @streams[id] = Opened.new(method, stream) }
    { ok: {} }
  end

  def take(opened, cancel)
    # The one answer of an upload, or why there is none.
    return finish(opened, cancel) if opened.method.shape == :upload

    answered = opened.stream.next(cancel: cancel)
    answered.nil? ? { end: true } : { ok: JSON.parse(opened.method.write.call(answered)) }
  end

  def push(opened, message)
    stream = uploading(opened).stream
    stream.push(opened.method.read.call(JSON.generate(message)))
    { ok: {} }
  end

  def finish(opened, cancel)
    stream = uploading(opened).stream
    return { ok: JSON.parse(opened.method.write.call(stream.finish(cancel: cancel))) } if opened.method.shape == :upload

    stream.finish
    { ok: {} }
  end

  def break_off(opened)
    uploading(opened).stream.fail("the upload failed, as it was told to")
    { ok: {} }
  end

  def close(id)
    opened = @lock.synchronize { @streams.delete(id) } || raise(invalid("there is no open stream #{id}"))
    opened.stream.close
    { ok: {} }
  end

  def cancel_other(id)
    @lock.synchronize { @running[id] }&.cancel
    { ok: {} }
  end

  def advance(milliseconds)
    unless @p.respond_to?(:clock)
      raise Pillion::Unsupported.new(info(:unsupported, "component.unsupported", "this driver cannot move the clock"))
    end

    @p.clock.advance(milliseconds / 1000r)
    { ok: {} }
  end

  def opened(id)
    @lock.synchronize { @streams[id] } || raise(invalid("there is no open stream #{id}"))
  end

  def uploading(opened)
    raise invalid("nothing can be sent on this stream") if opened.method.shape == :download

    opened
  end

  def method_of(command)
    METHODS.fetch("#{command[:api]}.#{command[:method]}") do |name|
      raise Pillion::Unsupported.new(info(:unsupported, "request.unknown_method",
                                          "there is no method `#{name}` in the contract"))
    end
  end

  def args(command)
    JSON.generate(command.fetch(:args, {}))
  end

  def options(command, cancel)
    { timeout: command[:timeout]&.then { |milliseconds| milliseconds / 1000r }, app_id: command[:app_id],
      token: command[:token], cancel: cancel }
  end

  def answer(id, result)
    line = JSON.generate({ id: id }.merge(result))
    @output.synchronize do
      $stdout.write(line, "\n")
      $stdout.flush
    end
  end

  def describe(error)
    { category: error.info.category.to_sym, reason: error.reason, outcome: error.outcome, message: error.info.message,
      component: error.component || "", retryable: error.retryable?, metadata: error.metadata }
  end

  def invalid(message)
    Pillion::Invalid.new(info(:invalid, "request.invalid", message))
  end

  def info(category, reason, message)
    Pillion::ErrorInfo.new(category: Pillion::Category.of(category), reason: reason, message: message,
                           outcome: Pillion::Outcome.of(:rejected), retryable: false, component: "", metadata: {},
                           retry_after: nil, advice: "")
  end
end

runtime =
  begin
    case ARGV
    in ["--endpoint", url] then Pillion.connect(url, retries: 0)
    in ["--embedded", file] then Pillion::Testing.open(config_file: file)
    in ["--memory"] then Pillion::Testing.open
    in [] then Pillion.open
    else
      warn USAGE
      exit 2
    end
  rescue Pillion::Error => e
    warn e.message
    exit 1
  end
Thread.report_on_exception = true
Driver.new(runtime).run
