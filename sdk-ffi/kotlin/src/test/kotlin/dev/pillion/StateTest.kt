package dev.pillion

import java.time.Instant
import kotlin.test.Test
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.nanoseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList

/** Values, types and names as Kotlin has them. */
class StateTest {
    @Test
    fun `what is written is read, with its type`() = everywhere { p ->
        assertNull(p.state.get("a"))
        p.state.set("a", "grüße")
        assertEquals("grüße", p.state.getText("a"))
        p.state.set("a", byteArrayOf(0, -1, 127))
        assertContentEquals(byteArrayOf(0, -1, 127), p.state.get("a"))
        p.state.set("a", jsonValue("""{"items": 3}"""), ttl = 10.minutes)

        val entry = assertNotNull(p.state.getEntry("a"))
        assertEquals("application/json", entry.value?.contentType)
        assertEquals("""{"items": 3}""", entry.value?.text())
        assertTrue(assertNotNull(entry.expiresIn) in 9.minutes..10.minutes)

        p.state.set("b", "2")
        assertEquals(setOf("a", "b"), p.state.getMany(listOf("a", "b", "c")).keys)
        assertTrue(p.state.delete("a", ifMatch = entry.etag))
        assertEquals(false, p.state.delete("a"))
    }

    @Test
    fun `lists and watches are flows`() = everywhere { p ->
        val listed = p.state.list("k:", pageSize = 2).map { it.key }
        assertEquals(emptyList(), listed.toList())
        for (i in 1..5) p.state.set("k:$i", "$i")
        // Cold: each collector asks anew.
        assertEquals((1..5).map { "k:$it" }, listed.toList())
        assertEquals(3, p.state.keys("k:", pageSize = 1).take(3).toList().size)
        assertNull(p.state.keys("k:").first().value)

        val seen = p.state.watch("k:").take(6).toList()
        assertEquals("k:1", assertIs<StateChange.Written>(seen.first()).entry.key)
        assertEquals(StateChange.Synced, seen.last())
    }

    @Test
    fun `results are data classes and times are Kotlin's`() = everywhere { p ->
        val sent = TestingKinds(
            doubleValue = 0.5,
            int64Value = Long.MIN_VALUE,
            uint64Value = ULong.MAX_VALUE,
            bytesValue = byteArrayOf(1),
            color = TestingColor.Green,
            optionalColor = TestingColor.Other(77),
            strings = listOf("x", "y"),
            labels = mapOf("a" to "b"),
            children = mapOf("c" to TestingNested(name = "d")),
            numbers = mapOf(-1 to Long.MAX_VALUE),
            nested = TestingNested(name = "n", inner = TestingNested(name = "i")),
            at = Instant.ofEpochSecond(-1, 999_999_999),
            lasts = -(1.seconds + 1.nanoseconds),
            choice = TestingKindsChoice.Node(TestingNested(name = "c")),
        )
        val answer = p.apis.shapes.echo(sent, label = "l")
        val (label, kinds) = answer
        assertEquals("l", label)
        assertNotNull(kinds)
        // Arrays are compared by identity in data classes.
        assertContentEquals(sent.bytesValue, kinds.bytesValue)
        assertEquals(sent, kinds.copy(bytesValue = sent.bytesValue))
        assertNull(kinds.optionalString)
        assertEquals("c", assertIs<TestingKindsChoice.Node>(kinds.choice).value.name)
    }

    @Test
    fun `the clock moves and components fail when told to`() = embedded { p ->
        p.state.set("session", "anna", ttl = 10.minutes)
        p.testing.clock.advance(9.minutes)
        assertEquals("anna", p.state.getText("session"))
        p.testing.clock.advance(2.minutes)
        assertNull(p.state.getText("session"))

        p.testing.fail("state", operation = "set", after = 1, times = 1)
        p.state.set("a", "1")
        val failed = assertFailsWith<UnavailableException> { p.state.set("a", "2") }
        assertEquals("component.unavailable", failed.reason)
        assertTrue(failed.isRetryable)
        p.testing.fail("state", reason = "component.denied")
        assertFailsWith<DeniedException> { p.state.get("a") }
        p.testing.reset()
        assertEquals("1", p.state.getText("a"))
    }

    @Test
    fun `no sidecar has the test kit`() = remote { p, _ ->
        assertFailsWith<UnsupportedException> { p.testing.clock.advance(1.minutes) }
    }
}
