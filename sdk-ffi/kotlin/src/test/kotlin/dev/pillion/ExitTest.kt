package dev.pillion

import java.util.concurrent.Callable
import java.util.concurrent.Executors
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.TestFactory

/** Programs end as they say, whatever is under way. `PILLION_EXIT_RUNS` says how often each is run. */
class ExitTest {
    private val runs = System.getenv("PILLION_EXIT_RUNS")?.toInt() ?: 20
    private val failing = setOf("an exception ends main")
    private val codes = mapOf("System.exit where a call comes back" to 7) + failing.associateWith { 1 }

    @TestFactory
    fun `a program ends well`(): List<DynamicTest> = Exit.states.keys.map { state ->
        dynamicTest(state) {
            val program = Callable { run(Exit::class.java.name, state) }
            val pool = Executors.newFixedThreadPool(Runtime.getRuntime().availableProcessors())
            val ended = try {
                pool.invokeAll(List(runs) { program }).map { it.get() }
            } finally {
                pool.shutdownNow()
            }
            for (end in ended) {
                assertEquals(codes[state] ?: 0, end.code, end.errors)
                val said = end.errors.lines().filter(String::isNotEmpty)
                if (state in failing) assertTrue("dev.pillion.ConflictException" in said.first()) else assertEquals(emptyList(), said)
            }
        }
    }
}
