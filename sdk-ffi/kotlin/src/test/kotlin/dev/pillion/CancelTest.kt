package dev.pillion

import java.util.concurrent.atomic.AtomicInteger
import kotlin.coroutines.CoroutineContext
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlin.time.Duration
import kotlin.time.Duration.Companion.hours
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.TimeoutCancellationException
import kotlinx.coroutines.async
import kotlinx.coroutines.cancel
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeout
import kotlinx.coroutines.withTimeoutOrNull

/** That Kotlin gave up a call ends it where it runs: Rust's future is dropped, and the service says so. */
class CancelTest {
    private suspend fun Pillion.wait(timeout: Duration = 60.seconds) =
        apis.shapes.act(TestingActRequestAct.Answer, after = 1.hours, timeout = timeout)

    private suspend fun Pillion.open() = apis.shapes.count().open

    private suspend fun Pillion.dropped() = apis.shapes.count().dropped

    @Test
    fun `a cancelled call is dropped`() = everywhere { p ->
        var thrown: Throwable? = null
        val call = launch {
            try {
                p.wait()
            } catch (error: Throwable) {
                thrown = error
                throw error
            }
        }
        eventually { p.open() == 1uL }
        call.cancelAndJoin()
        assertIs<CancellationException>(thrown)
        eventually { p.open() == 0uL && p.dropped() == 1uL }
    }

    @Test
    fun `a scope takes its calls with it`() = everywhere { p ->
        val scope = CoroutineScope(SupervisorJob() + Dispatchers.Default)
        val calls = List(100) { scope.launch { p.wait() } }
        eventually { p.open() == 100uL }
        scope.cancel()
        calls.forEach { it.join() }
        eventually { p.open() == 0uL && p.dropped() == 100uL }
    }

    @Test
    fun `the failure of one takes its siblings with it`() = everywhere { p ->
        assertFailsWith<ConflictException> {
            coroutineScope {
                launch { p.wait() }
                launch {
                    eventually { p.open() == 1uL }
                    p.apis.shapes.act(TestingActRequestAct.Fail, reason = "state.etag_mismatch")
                }
            }
        }
        eventually { p.open() == 0uL && p.dropped() == 1uL }
    }

    @Test
    fun `Kotlin's own timeouts work`() = everywhere { p ->
        assertFailsWith<TimeoutCancellationException> { withTimeout(50.milliseconds) { p.wait() } }
        assertNull(withTimeoutOrNull(50.milliseconds) { p.wait() })
        eventually { p.open() == 0uL }
    }

    @Test
    fun `what was cancelled before it began is never made`() = everywhere { p ->
        launch(start = CoroutineStart.UNDISPATCHED) {
            coroutineContext.cancel()
            p.state.set("never", "1")
        }.join()
        assertNull(p.state.get("never"))
    }

    @Test
    fun `a collector that leaves ends its stream`() = everywhere { p ->
        val endless = suspend { p.apis.shapes.expand(1, TestingExpandRequestThen.Hang).asFlow() }
        assertEquals(0, endless().first().index)
        eventually { p.open() == 0uL }

        val collector = launch { endless().collect {} }
        eventually { p.open() == 1uL }
        collector.cancelAndJoin()
        eventually { p.open() == 0uL }

        assertFailsWith<IllegalStateException> { endless().onEach { error("the collector's own") }.collect {} }
        eventually { p.open() == 0uL }

        p.state.set("k", "1")
        val watcher = launch { p.state.watch().collect {} }
        watcher.cancelAndJoin()
        assertTrue(p.state.watch().first() is StateChange.Written)
    }

    @Test
    fun `nothing is fetched ahead of the collector`() = embedded { p ->
        for (i in 1..4) p.state.set("k:$i", "$i")
        p.testing.fail("state", operation = "list", after = 2)
        assertEquals(2, p.state.list("k:", pageSize = 1).take(2).toList().size)
        p.testing.reset()
        p.testing.fail("state", operation = "list", after = 2)
        assertFailsWith<UnavailableException> { p.state.list("k:", pageSize = 1).take(3).toList() }
    }

    @Test
    fun `closing a stream ends what waits for it`() = everywhere { p ->
        val stream = p.apis.shapes.expand(0, TestingExpandRequestThen.Hang)
        val waiting = async { runCatching { stream.next() } }
        eventually { p.open() == 1uL }
        stream.close()
        assertIs<CancelledException>(waiting.await().exceptionOrNull())
        eventually { p.open() == 0uL }
    }

    @Test
    fun `a stream goes on after a cancelled next`() = everywhere { p ->
        p.apis.shapes.expand(3, TestingExpandRequestThen.EndValue, every = 30.milliseconds).use { stream ->
            val indexes = mutableListOf<Int>()
            while (true) {
                val next = withTimeoutOrNull(7.milliseconds) { listOfNotNull(stream.next()) } ?: continue
                indexes += next.firstOrNull()?.index ?: break
            }
            // An answer that came together with the cancelling is lost; nothing comes twice or out of order.
            assertEquals(indexes.distinct().sorted(), indexes)
            assertTrue(indexes.all { it in 0..2 })
        }
    }

    /** Everything that suspends, one after another. */
    private suspend fun everything(p: Pillion) {
        p.waitReady()
        p.state.set("a", "1")
        p.state.get("a")
        p.state.list("", pageSize = 1).collect {}
        p.state.watch().first { it == StateChange.Synced }
        p.apis.shapes.act(TestingActRequestAct.Answer, after = 1.milliseconds)
        p.apis.shapes.expand(2, TestingExpandRequestThen.EndValue, every = 1.milliseconds).asFlow().collect {}
        p.apis.shapes.collect().use { upload ->
            upload.send(TestingCollectRequest(TestingCollectRequestPart.Chunk(byteArrayOf(1))))
            upload.send(TestingCollectRequest(TestingCollectRequestPart.Total(1uL)))
            upload.finish()
        }
        p.apis.shapes.converse().use { conversation ->
            conversation.send(TestingConverseRequest("a"))
            conversation.next()
            conversation.finish()
            conversation.next()
        }
        p.state.delete("a")
    }

    /** Cancels a coroutine where it suspends for the [at]th time: before, or as soon as the answer is there. */
    private class Cancelling(private val at: Int, private val late: Boolean) : CoroutineDispatcher() {
        private val resumed = AtomicInteger()

        override fun dispatch(context: CoroutineContext, block: Runnable) {
            val here = resumed.incrementAndGet() == at
            if (here && late) context[Job]?.cancel()
            Dispatchers.Default.dispatch(context) {
                block.run()
                if (here && !late) context[Job]?.cancel()
            }
        }
    }

    @Test
    fun `a call can be given up at every suspension point`() = everywhere { p ->
        val scope = CoroutineScope(SupervisorJob())
        val uploads = p.apis.shapes.count().uploads
        for (late in listOf(false, true)) {
            var at = 0
            var finished = 0
            // What is at once there does not suspend, so where it does is not the same each time.
            while (finished < 5) {
                at++
                val call = scope.async(Cancelling(at, late)) { everything(p) }
                call.join()
                val thrown = runCatching { call.await() }.exceptionOrNull()
                assertTrue(thrown is CancellationException?, "at $at: $thrown")
                if (thrown == null) finished++
                eventually { p.open() == 0uL }
            }
            assertTrue(at - finished >= 3, "only ${at - finished} were cancelled")
        }
        val complete = p.apis.shapes.count().uploads - uploads
        assertTrue(complete >= 10uL, "the uploads of those that were not cancelled are complete")
        everything(p)
    }
}
