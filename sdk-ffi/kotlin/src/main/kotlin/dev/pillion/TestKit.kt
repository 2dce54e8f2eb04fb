package dev.pillion

import kotlin.time.Duration

/**
 * What tests do to a runtime in their own process.
 *
 * ```kotlin
 * Pillion.embedded(testing = true).use { p ->
 *     p.state.set("session", "anna", ttl = 10.minutes)
 *     p.testing.clock.advance(11.minutes)
 *     assertNull(p.state.getText("session"))
 * }
 * ```
 */
public class TestKit internal constructor(private val api: TestingApi) {
    /** The clock from which components take the time. */
    public val clock: TestClock = TestClock(api)

    /**
     * From now on, calls that match fail as if their component had failed, and have no effect.
     *
     * ```kotlin
     * p.testing.fail("state", operation = "set", after = 2)
     * ```
     *
     * @param block the building block: `state`
     * @param operation one method: `get`, `set_many`; empty for all
     * @param component one component of the block; empty for all
     * @param after how many matching calls are let through first
     * @param times how many matching calls fail then; 0 for all until [reset]
     * @param reason the reason they fail with; empty for `component.unavailable`
     */
    public suspend fun fail(
        block: String,
        operation: String = "",
        component: String = "",
        after: Int = 0,
        times: Int = 0,
        reason: String = "",
    ) {
        require(after >= 0 && times >= 0) { "after and times count calls" }
        api.fail(block, component, operation, after.toUInt(), times.toUInt(), reason)
    }

    /** Takes every fault back. The clock stays where it is. */
    public suspend fun reset() {
        api.reset()
    }
}

/** The clock of a runtime for tests. */
public class TestClock internal constructor(private val api: TestingApi) {
    /** Moves it on at once: what expires by then is gone when this returns. */
    public suspend fun advance(by: Duration) {
        api.advanceClock(by)
    }
}
