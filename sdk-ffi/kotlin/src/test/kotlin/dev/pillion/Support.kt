package dev.pillion

import com.google.gson.JsonParser
import java.io.File
import java.net.URI
import java.util.concurrent.TimeUnit
import kotlin.io.path.createTempDirectory
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout

/** What has not happened by then never will. */
internal val PATIENCE = 120.seconds

/** A test with a runtime of its own in this process. */
internal fun embedded(test: suspend CoroutineScope.(Pillion) -> Unit): Unit = patiently {
    Pillion.embedded(testing = true).use { test(it) }
}

/** A test with a sidecar of its own. */
internal fun remote(test: suspend CoroutineScope.(Pillion, Sidecar) -> Unit): Unit = patiently {
    Sidecar().use { sidecar ->
        Pillion.connect(sidecar.url, retries = 0u).use { test(it, sidecar) }
    }
}

/** The same test in both modes. */
internal fun everywhere(test: suspend CoroutineScope.(Pillion) -> Unit) {
    embedded(test)
    remote { p, _ -> test(p) }
}

private fun patiently(test: suspend CoroutineScope.() -> Unit): Unit = runBlocking { withTimeout(PATIENCE, test) }

/** Waits until [condition] holds. */
internal suspend fun eventually(condition: suspend () -> Boolean) {
    while (!condition()) delay(5.milliseconds)
}

/** A sidecar in memory. */
internal class Sidecar : AutoCloseable {
    private val folder = createTempDirectory("pillion-kotlin-").toFile()
    private var process = start(port = 0)

    lateinit var url: String
        private set

    init {
        listen()
    }

    /** Ends it without a word. */
    fun kill() {
        process.destroyForcibly().waitFor()
    }

    /** Starts it again, at the same address. */
    fun restart() {
        process = start(URI(url).port)
        listen()
    }

    override fun close() {
        kill()
        folder.deleteRecursively()
    }

    private fun start(port: Int): Process {
        val program = checkNotNull(System.getenv("PILLION_BIN")) { "PILLION_BIN has to name the sidecar to test with" }
        return ProcessBuilder(program, "dev", "--json", "--port", "$port")
            .directory(folder)
            .redirectError(File(folder, "log"))
            .start()
    }

    private fun listen() {
        val line = process.inputReader().readLine() ?: error("no sidecar: ${File(folder, "log").readText()}")
        url = JsonParser.parseString(line).asJsonObject["endpoint"].asString
    }
}

/** How a program ended. */
internal data class Ended(val code: Int, val output: String, val errors: String)

/** Runs the `main` of a class of the tests in a process of its own. */
internal fun run(main: String, vararg arguments: String, environment: Map<String, String> = emptyMap()): Ended {
    val java = File(System.getProperty("java.home"), "bin/java").path
    val flags = listOf("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx64m")
    val builder = ProcessBuilder(
        listOf(java) + flags + listOf("-cp", System.getProperty("java.class.path"), main) + arguments,
    )
    builder.environment() += environment
    val errors = File.createTempFile("pillion-kotlin-", ".log")
    val output = File.createTempFile("pillion-kotlin-", ".log")
    val process = builder.redirectError(errors).redirectOutput(output).start()
    try {
        if (!process.waitFor(PATIENCE.inWholeSeconds, TimeUnit.SECONDS)) {
            error("$main ${arguments.joinToString(" ")} did not end: ${errors.readText()}")
        }
        return Ended(process.exitValue(), output.readText(), errors.readText())
    } finally {
        process.destroyForcibly()
        errors.delete()
        output.delete()
    }
}
