# frozen_string_literal: true

# What the suites share. They need the gem as it was built for the tests, and the sidecar: PILLION_BIN.

GEM = File.expand_path("sdk-ffi/ruby", ENV.fetch("CARGO_TARGET_DIR", File.expand_path("../../../target", __dir__)))
$LOAD_PATH.unshift(File.join(GEM, "lib"))

require "minitest/autorun"
require "open3"
require "rbconfig"
require "socket"
require "tempfile"
require "timeout"
require "tmpdir"
require_relative "support/shapes"

# A sidecar in memory, at an address of its own.
class Sidecar
  PROGRAM = ENV.fetch("PILLION_BIN", File.expand_path("../../../target/ci/pillion", __dir__))

  attr_reader :url

  def self.run
    sidecar = new
    yield sidecar
  ensure
    sidecar&.kill
  end

  def initialize
    @port = TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }
    @url = "http://127.0.0.1:#{@port}"
    start
  end

  def start
    raise "there is no #{PROGRAM}: build it with `cargo build --profile ci -p pillion-cli`" unless File.exist?(PROGRAM)

    @process = Process.spawn(PROGRAM, "dev", "--port", @port.to_s, %i[out err] => File::NULL, chdir: Dir.tmpdir)
    Pillion.connect(@url) { |p| p.wait_ready(Case::PATIENCE) }
  end

  def kill
    return unless @process

    Process.kill(:KILL, @process)
    Process.wait(@process)
    @process = nil
  end
end

class Case < Minitest::Test
  # More than a busy machine takes.
  PATIENCE = 120

  # A runtime in memory, for tests.
  attr_reader :p

  def setup
    @p = Pillion::Testing.open
  end

  def teardown
    p.close
  end

  def act(act, **rest)
    p.apis.shapes.act(act, **rest)
  end

  # A call that never ends by itself.
  def hang(**rest)
    act(:answer, after: 3600, **rest)
  end

  def eventually(what)
    Timeout.timeout(PATIENCE, Minitest::Assertion, "never #{what}") { sleep 0.005 until yield }
  end

  def calls_under_way?(count)
    p.apis.shapes.count.open == count
  end

  def assert_dropped(count)
    eventually("dropped") { calls_under_way?(0) }
    assert_equal count, p.apis.shapes.count.dropped
  end

  # A program in a process of its own: what it said and how it ended.
  def program(source, *arguments)
    Open3.capture2e(RbConfig.ruby, "-W", "-I", $LOAD_PATH.first, "-I", __dir__, "-e", source, *arguments)
  end

  def assert_program(expected, source, *arguments)
    said, status = program(source, *arguments)
    assert_predicate status, :success?, said
    assert_equal expected, said
  end
end
