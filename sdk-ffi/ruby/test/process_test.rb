# frozen_string_literal: true

require_relative "support"

# Forks, and what a process keeps.
class ProcessTest < Case
  # What the block gives in a child of a fork, which then exits as programs do.
  def in_a_child
    reader, writer = IO.pipe
    child = fork do
      reader.close
      # The tests themselves are the parent's.
      Minitest.class_variable_set(:@@installed_at_exit, true)
      Minitest.singleton_class.define_method(:run) { |*| true }
      writer.write(Marshal.dump(begin yield; rescue Exception => e then "#{e.class}: #{e.message}" end))
      writer.close
      exit(0)
    end
    writer.close
    said = Timeout.timeout(PATIENCE) { reader.read }
    Process.wait(child)
    assert_predicate $?, :success?
    Marshal.load(said)
  ensure
    reader&.close
  end

  def test_a_child_is_told_that_its_handle_is_the_parents
    stream = p.apis.shapes.expand(3)
    said = in_a_child do
      [-> { p.state.get("a") }, -> { p.apis.state.get("a") }, -> { stream.next }, -> { p.state.list.first }].map do |call|
        call.call
      rescue Pillion::Error => e
        [e.reason, e.advice]
      end
    end
    assert_equal [["runtime.closed", "open a handle in each process, after the fork"]], said.uniq
    assert_equal 3, stream.count
  end

  def test_a_child_opens_its_own
    p.state.set("a", "parent")
    said = in_a_child do
      Pillion::Testing.open do |own|
        # One that has to wait is woken by threads that did not come with the fork.
        own.apis.shapes.act(:answer, after: 0.02)
        own.state.set("a", "child")
        [own.state.get("a"), in_a_grandchild]
      end
    end
    assert_equal %w[child grandchild], said
    assert_equal "parent", p.state.get("a")
    act(:answer, after: 0.02)
  end

  def in_a_grandchild
    in_a_child { Pillion.embedded { |p| p.state.set("a", "grandchild") && p.state.get("a") } }
  end

  # What Process.daemon does, and a server that is loaded once and then forks its workers.
  def test_a_preloading_server_opens_in_each_worker
    Sidecar.run do |sidecar|
      Pillion.connect(sidecar.url) do |parent|
        parent.state.set("count", 0)
        workers = Array.new(4) do |i|
          fork do
            Pillion.connect(sidecar.url) { |p| p.state.set("worker:#{i}", Process.pid) }
            exit!(0)
          end
        end
        workers.each { |worker| assert_predicate Process.wait2(worker).last, :success? }
        assert_equal workers.sort, parent.state.list("worker:").map(&:object).sort
      end
    end
  end

  def test_a_daemon_opens_its_own
    Dir.mktmpdir do |folder|
      assert_program "", <<~RUBY, folder
        require "pillion"
        Pillion.embedded { |p| p.state.set("a", "before") }
        Process.daemon(true, true)
        Pillion.embedded(data_dir: File.join(ARGV[0], "data")) { |p| p.state.set("a", "daemon") }
        File.write(File.join(ARGV[0], "done.part"), "")
        File.rename(File.join(ARGV[0], "done.part"), File.join(ARGV[0], "done"))
      RUBY
      eventually("done") { File.exist?(File.join(folder, "done")) }
      Pillion.embedded(data_dir: File.join(folder, "data")) { |p| assert_equal "daemon", p.state.get("a") }
    end
  end

  def test_a_child_leaves_the_parents_files_alone
    Dir.mktmpdir do |folder|
      Pillion.embedded(data_dir: folder) do |p|
        p.state.set("a", "1")
        said = in_a_child do
          Pillion.embedded(data_dir: folder) { "opened" }
        rescue Pillion::Error => e
          e.reason
        end
        refute_equal "opened", said
        p.state.set("a", "2")
        assert_equal "2", p.state.get("a")
      end
      Pillion.embedded(data_dir: folder) { |p| assert_equal "2", p.state.get("a") }
    end
  end

  # One process at a time has a folder: that it can be had again shows that the runtime is gone.
  def test_a_runtime_that_was_not_closed_ends_with_its_handle
    Dir.mktmpdir do |folder|
      Thread.new { Pillion.embedded(data_dir: folder).state.set("a", "1") && nil }.join
      eventually("given back") do
        GC.start
        Pillion.embedded(data_dir: folder) { |p| p.state.get("a") == "1" }
      rescue Pillion::Error
        false
      end
    end
  end

  def test_streams_that_were_forgotten_end
    Thread.new { 50.times { p.apis.shapes.expand(1, _then: :hang).next } }.join
    eventually("ended") do
      GC.start
      # What the collector still sees on the stack may stay.
      p.apis.shapes.count.open <= 5
    end
  end

  def resident
    GC.start
    File.read("/proc/self/status")[/VmRSS:\s+(\d+)/, 1].to_i
  end

  def test_100_000_handles_leave_no_memory
    use = ->(count) { count.times { p.state.list("none") } }
    use.call(50_000)
    before = resident
    use.call(100_000)
    assert_operator resident - before, :<, 8 * 1024, "KiB more after 100,000 handles"
  end

  def test_watches_that_are_opened_and_closed_leave_no_memory
    use = ->(count) { count.times { p.state.watch.close } }
    use.call(2_000)
    before = resident
    use.call(4_000)
    assert_operator resident - before, :<, 8 * 1024, "KiB more after 4,000 watches"
  end
end
