package dev.pillion

import kotlin.system.exitProcess
import kotlin.time.Duration.Companion.hours
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.DelicateCoroutinesApi
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.GlobalScope
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking

private suspend fun Pillion.answer(after: kotlin.time.Duration) =
    apis.shapes.act(TestingActRequestAct.Answer, after = after)

/** States in which a program can be when it ends; none of them closes anything. */
@OptIn(DelicateCoroutinesApi::class)
internal object Exit {
    val states: Map<String, suspend (Pillion) -> Unit> = mapOf(
        "main ends with a call pending" to { p ->
            GlobalScope.launch { p.answer(after = 1.hours) }
            eventually { p.apis.shapes.count().open == 1uL }
        },
        "main ends while calls come back" to { p ->
            repeat(64) {
                GlobalScope.launch { while (true) p.answer(after = 1.milliseconds) }
            }
            eventually { p.apis.shapes.count().succeeded > 100uL }
        },
        "main ends with a stream half read" to { p ->
            val stream = p.apis.shapes.expand(1000)
            repeat(3) { stream.next() }
            GlobalScope.launch { p.state.watch().collect() }
        },
        "System.exit where a call comes back" to { p ->
            // Without a dispatcher this goes on wherever the answer came in.
            GlobalScope.launch(Dispatchers.Unconfined) {
                p.answer(after = 1.milliseconds)
                exitProcess(7)
            }
            p.answer(after = 1.hours)
        },
        "an exception ends main" to { p ->
            GlobalScope.launch { p.answer(after = 1.hours) }
            p.apis.shapes.act(TestingActRequestAct.Fail, reason = "state.etag_mismatch")
        },
    )

    @JvmStatic
    fun main(arguments: Array<String>) {
        val state = states.getValue(arguments.single())
        runBlocking { state(Pillion.embedded(testing = true)) }
    }
}
