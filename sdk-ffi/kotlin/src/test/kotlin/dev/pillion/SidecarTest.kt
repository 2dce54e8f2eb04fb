package dev.pillion

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.produceIn
import kotlinx.coroutines.yield

/** A sidecar that goes away and comes back. */
class SidecarTest {
    @Test
    fun `losing the sidecar in a stream is the error it is everywhere`() = remote { p, sidecar ->
        p.waitReady()
        val stream = p.apis.state.watch()
        stream.next()
        val next = async { runCatching { stream.next() } }
        yield()
        sidecar.kill()
        val lost = assertFailsWith<UnavailableException> { next.await().getOrThrow() }
        assertEquals("runtime.connection_lost", lost.reason)
        assertEquals(Outcome.Rejected, lost.outcome)
        assertTrue(lost.isRetryable)
        assertEquals(null, stream.next())

        val unreachable = assertFailsWith<UnavailableException> { p.state.get("a") }
        assertEquals("runtime.unreachable", unreachable.reason)
        assertEquals(Outcome.Rejected, unreachable.outcome)

        sidecar.restart()
        p.waitReady()
        p.state.set("a", "back")
        assertEquals("back", p.state.getText("a"))
    }

    @Test
    fun `a watch outlives its sidecar`() = remote { p, sidecar ->
        val changes = p.state.watch("w:").produceIn(this)
        assertEquals(StateChange.Synced, changes.receive())
        sidecar.kill()
        sidecar.restart()
        assertEquals(StateChange.Resync, changes.receive())
        assertEquals(StateChange.Synced, changes.receive())
        changes.cancel()
    }
}
