package dev.pillion

import java.io.File
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlin.test.fail
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.flow.first

/** A panic in Rust is an exception here, whichever exported function it is in, and the program goes on. */
class PanicTest {
    private val options = Options(timeout = 10.seconds, appId = null, token = null)

    /** Whatever programs can do, by what crosses. */
    private fun operations(p: Pillion): List<suspend () -> Unit> = METHODS.values.map { suspend { use(it, p) } } + listOf(
        { Pillion.embedded(testing = true).close() },
        { Pillion.connect("http://127.0.0.1:1").close() },
        { Pillion.open().close() },
        { p.waitReady() },
        { p.state.list("a").collect {} },
        { p.state.watch().first { it == StateChange.Synced } },
        {
            // Where a collector leaves, that closing failed as well would be an afterthought of its exception.
            val changes = called { p.apis.ffi.watchState("", "", null, call(null, null, null, null)) }
            AnswerStream({ changes.next(null) }, changes::shut).close()
        },
    )

    private suspend fun use(row: Row, p: Pillion) {
        try {
            when (row) {
                is Row.Unary -> row.call(p, "{}", options)
                is Row.Download -> row.open(p, "{}", options).use { it.next() }
                is Row.Up -> {
                    row.open(p, options).use { it.fail() }
                    row.open(p, options).use {
                        it.send("""{"total": "0"}""")
                        it.finish()
                    }
                }
                is Row.Both -> {
                    row.open(p, options).use { it.fail() }
                    row.open(p, options).use {
                        it.send("{}")
                        it.next()
                        it.finish()
                    }
                }
            }
        } catch (refused: InvalidException) {
            // Some take no empty request; what matters here is that they were entered.
        }
    }

    @Test
    fun `a panic in any exported function is an exception`() = embedded { p ->
        p.state.set("a", "1")
        val panicked = mutableSetOf<String>()
        for (operation in operations(p)) {
            var entered = 0u
            while (true) {
                panicAfter(entered++)
                val error = runCatching { operation() }.exceptionOrNull() ?: break
                if (error !is InternalErrorException || error.reason != "runtime.panic") fail("no panic", error)
                assertEquals(Outcome.Unknown, error.outcome)
                panicked += TOLD.find(error.message.orEmpty())?.groupValues?.get(1) ?: fail("no name", error)
            }
            panicAfter(null)
            assertEquals("1", p.state.getText("a"))
        }
        assertEquals(exported() - NEVER, panicked.map(::camel).toSet())
    }

    @Test
    fun `a panic in the call is an exception`() = everywhere { p ->
        val error = runCatching { p.apis.shapes.act(TestingActRequestAct.Panic) }.exceptionOrNull()
        assertEquals("runtime.panic", (error as InternalErrorException).reason)
        val stream = p.apis.shapes.expand(1, TestingExpandRequestThen.Panic)
        assertEquals(0, stream.next()?.index)
        val ended = runCatching { stream.next() }.exceptionOrNull()
        assertEquals("runtime.panic", (ended as InternalErrorException).reason)
        assertTrue(p.apis.shapes.count().failed >= 1uL)
    }

    private fun camel(function: String) =
        function.replace(Regex("_([a-z])")) { it.groupValues[1].uppercase() }

    /** `FfiState.getMany`: what UniFFI made of the exported functions, out of the classes as they are. */
    private fun exported(): Set<String> {
        val folder = File(Pillion::class.java.protectionDomain.codeSource.location.toURI()).resolve("dev/pillion")
        val objects = folder.list().orEmpty().filter { it.startsWith("Ffi") && it.endsWith("Interface.class") }
        val methods = objects.flatMap { file ->
            val name = file.removeSuffix("Interface.class")
            Class.forName("dev.pillion.${name}Interface").declaredMethods
                // Kotlin adds what defaults and inline classes need.
                .map { "$name.${it.name.substringBefore('-').substringBefore('$')}" }
                .filterNot { it.endsWith(".access") }
        }
        return methods.toSet() + listOf("FfiRuntime.open", "FfiRuntime.embedded", "FfiRuntime.connect")
    }

    private companion object {
        val TOLD = Regex("told to, in (\\w+\\.\\w+)")

        /** What the other languages need and Kotlin does not: it drops futures. */
        val NEVER = setOf("FfiCancel.cancel", "FfiCancel.isCancelled")
    }
}
