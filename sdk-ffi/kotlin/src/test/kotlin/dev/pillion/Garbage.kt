package dev.pillion

import java.io.File
import kotlinx.coroutines.runBlocking

/** Makes handles and streams that nobody closes, and prints how much memory there was in use before and after. */
internal object Garbage {
    private suspend fun drop(p: Pillion, handles: Int) {
        repeat(handles) { p.state.store("store-$it") }
        repeat(handles / 200) { p.apis.shapes.expand(2, TestingExpandRequestThen.Hang).next() }
    }

    /** What this process has in memory when the collector of garbage has ended the streams. */
    private suspend fun resident(p: Pillion): Long {
        eventually {
            System.gc()
            p.apis.shapes.count().open == 0uL
        }
        return File("/proc/self/status").useLines { lines ->
            lines.first { it.startsWith("VmRSS:") }.filter(Char::isDigit).toLong()
        }
    }

    @JvmStatic
    fun main(arguments: Array<String>): Unit = runBlocking {
        Pillion.embedded(testing = true).use { p ->
            drop(p, 20_000)
            val before = resident(p)
            drop(p, 100_000)
            println("$before ${resident(p)}")
        }
    }
}
