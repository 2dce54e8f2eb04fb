package dev.pillion

import kotlin.reflect.KClass
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.hours
import kotlin.time.Duration.Companion.milliseconds

/** The exceptions: a sealed class with one for each category. */
class ErrorTest {
    private val reasons: Map<String, KClass<out PillionException>> = mapOf(
        "request.invalid" to InvalidException::class,
        "component.not_declared" to NotFoundException::class,
        "state.key_exists" to ExistsException::class,
        "state.etag_mismatch" to ConflictException::class,
        "request.denied" to DeniedException::class,
        "request.overloaded" to ExhaustedException::class,
        "component.unavailable" to UnavailableException::class,
        "component.deadline_exceeded" to DeadlineException::class,
        "component.unsupported" to UnsupportedException::class,
        "component.internal" to InternalErrorException::class,
        "request.cancelled" to CancelledException::class,
    )

    /** Does not compile when a category is missing here. */
    private fun category(error: PillionException): String = when (error) {
        is InvalidException -> "invalid"
        is NotFoundException -> "not_found"
        is ExistsException -> "exists"
        is ConflictException -> "conflict"
        is DeniedException -> "denied"
        is ExhaustedException -> "exhausted"
        is UnavailableException -> "unavailable"
        is DeadlineException -> "deadline"
        is UnsupportedException -> "unsupported"
        is InternalErrorException -> "internal"
        is CancelledException -> "cancelled"
    }

    @Test
    fun `each category has a class of its own`() = everywhere { p ->
        val categories = reasons.map { (reason, expected) ->
            val error = assertFailsWith<PillionException> {
                p.apis.shapes.act(TestingActRequestAct.Fail, reason = reason, metadata = mapOf("key" to "a"))
            }
            assertEquals(expected, error::class, reason)
            assertEquals(reason, error.reason)
            assertEquals("a", error.metadata["key"], reason)
            category(error)
        }
        assertEquals(reasons.size, categories.toSet().size)
    }

    @Test
    fun `an error says what happened, to whom, and what to do`() = everywhere { p ->
        val (etag) = p.state.set("a", "1")
        p.state.set("a", "2", ifMatch = etag)
        val mismatch = assertFailsWith<ConflictException> { p.state.set("a", "3", ifMatch = etag) }
        assertEquals("state.etag_mismatch", mismatch.reason)
        assertEquals(Outcome.Rejected, mismatch.outcome)
        assertEquals("state", mismatch.component)
        assertFalse(mismatch.isRetryable)
        assertNull(mismatch.retryAfter)
        assertTrue(mismatch.advice in mismatch.message.orEmpty() && mismatch.advice.isNotEmpty())

        assertFailsWith<ExistsException> { p.state.set("a", "3", ifAbsent = true) }
        assertFailsWith<NotFoundException> { p.state.store("nowhere").get("a") }
        assertFailsWith<IllegalArgumentException> { p.state.set("a", "3", ifAbsent = true, ifMatch = etag) }
        assertEquals("2", p.state.getText("a"))
    }

    @Test
    fun `a deadline of the call is an error of Pillion`() = everywhere { p ->
        val late = assertFailsWith<DeadlineException> {
            p.apis.shapes.act(TestingActRequestAct.Answer, after = 1.hours, timeout = 50.milliseconds)
        }
        assertEquals("request.deadline_exceeded", late.reason)
        assertEquals(Outcome.Unknown, late.outcome)
    }

    @Test
    fun `a closed runtime says so`() = embedded { p ->
        val stream = p.apis.state.watch()
        p.close()
        p.close()
        assertEquals("runtime.closed", assertFailsWith<UnavailableException> { p.state.get("a") }.reason)
        assertFailsWith<PillionException> { while (stream.next() != null) Unit }
    }
}
