package dev.pillion

import kotlin.io.path.createTempDirectory
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext

/** Who holds what: handles and streams that nobody closed, several runtimes, many coroutines. */
class HandleTest {
    @Test
    fun `a hundred thousand handles leave nothing behind`() {
        val ended = run(Garbage::class.java.name)
        val (before, after) = ended.output.trim().split(' ').map(String::toLong)
        assertTrue(after - before < 16 shl 10, "$before KiB, and then $after KiB")
    }

    @Test
    fun `two runtimes in one process do not meet`() = embedded { one ->
        Pillion.embedded().use { other ->
            one.state.set("a", "one")
            assertNull(other.state.get("a"))
        }
        assertEquals("one", one.state.getText("a"))
    }

    @Test
    fun `a folder is free when its runtime is closed`() = embedded {
        val folder = createTempDirectory("pillion-kotlin-").toFile()
        try {
            Pillion.embedded(dataDir = folder.path).use { p ->
                p.state.set("a", "kept")
                assertFailsWith<PillionException> { Pillion.embedded(dataDir = folder.path) }
            }
            Pillion.embedded(dataDir = folder.path).use { assertEquals("kept", it.state.getText("a")) }
        } finally {
            folder.deleteRecursively()
        }
    }

    @Test
    fun `coroutines without a dispatcher may block`() = everywhere { p ->
        // More than the library has threads: blocked there, nothing would come back any more.
        val blocked = List(8) {
            async(Dispatchers.Unconfined) {
                p.apis.shapes.act(TestingActRequestAct.Answer, after = 1.milliseconds)
                runBlocking { p.apis.shapes.act(TestingActRequestAct.Answer, after = 1.milliseconds) }
            }
        }
        blocked.awaitAll()
    }

    private suspend fun many(p: Pillion, coroutines: Int) = withContext(Dispatchers.Default) {
        val read = List(coroutines) { i ->
            async {
                p.state.set("k:$i", "$i")
                p.state.getText("k:$i")
            }
        }
        assertEquals(List(coroutines) { "$it" }, read.awaitAll())
    }

    @Test
    fun `ten thousand coroutines call at once`() = embedded { p -> many(p, 10_000) }

    @Test
    fun `a thousand coroutines call a sidecar at once`() = remote { p, _ -> many(p, 1_000) }
}
