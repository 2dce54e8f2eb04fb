package dev.pillion

import com.google.gson.Gson
import com.google.gson.GsonBuilder
import com.google.gson.JsonElement
import com.google.gson.JsonObject
import com.google.gson.JsonParser
import com.google.gson.JsonParseException
import java.util.concurrent.ConcurrentHashMap
import kotlin.system.exitProcess
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.sync.Semaphore
import kotlinx.coroutines.withTimeoutOrNull

private const val USAGE = "usage: driver [--endpoint URL | --embedded CONFIG.yaml | --memory]"

/** Commands under way at once; the next line is read when one ends. */
private const val CONCURRENT = 256

/** What goes with a call. */
internal class Options(val timeout: Duration?, val appId: String?, val token: String?)

/** A stream as the driver uses it: messages are JSON. */
internal interface Open : AutoCloseable {
    suspend fun next(): String?

    suspend fun send(message: String): Unit = throw invalid("nothing can be sent on this stream")

    suspend fun finish(): String? = throw invalid("nothing can be sent on this stream")

    suspend fun fail(): Unit = throw invalid("nothing can be sent on this stream")
}

internal class Taking<A : Any>(val stream: AnswerStream<A>, val write: (A) -> String) : Open {
    override suspend fun next() = stream.next()?.let(write)

    override fun close() = stream.close()
}

internal class Uploading<Q : Any, A : Any>(
    val stream: Upload<Q, A>,
    val read: (String) -> Q,
    val write: (A) -> String,
) : Open {
    // The one answer, or why there is none.
    override suspend fun next() = finish()

    override suspend fun send(message: String) = stream.send(read(message))

    override suspend fun finish(): String? = write(stream.finish())

    override suspend fun fail() = stream.fail("the upload failed, as it was told to")

    override fun close() = stream.close()
}

internal class Conversing<Q : Any, A : Any>(
    val stream: Conversation<Q, A>,
    val read: (String) -> Q,
    val write: (A) -> String,
) : Open {
    override suspend fun next() = stream.next()?.let(write)

    override suspend fun send(message: String) = stream.send(read(message))

    override suspend fun finish(): String? {
        stream.finish()
        return null
    }

    override suspend fun fail() = stream.fail("the upload failed, as it was told to")

    override fun close() = stream.close()
}

/** A method of the generated table. */
internal sealed interface Row {
    class Unary(val call: suspend (Pillion, String, Options) -> String) : Row

    class Download(val open: suspend (Pillion, String, Options) -> Open) : Row

    class Up(val open: suspend (Pillion, Options) -> Open) : Row

    class Both(val open: suspend (Pillion, Options) -> Open) : Row
}

private val GSON: Gson = GsonBuilder().serializeNulls().disableHtmlEscaping().create()

internal fun invalid(message: String) = InvalidException(refusal(Category.Invalid, "request.invalid", message))

private fun unsupported(reason: String, message: String) =
    UnsupportedException(refusal(Category.Unsupported, reason, message))

private fun refusal(category: Category, reason: String, message: String) =
    ErrorInfo(category, reason, message, Outcome.Rejected, false, "", emptyMap(), null, "")

/** The driver of the scenario runner for Kotlin: see docs/driver-protocol.md. */
private class Driver(val p: Pillion) {
    val streams = ConcurrentHashMap<Long, Open>()
    val running = ConcurrentHashMap<Long, Job>()

    suspend fun run() {
        val room = Semaphore(CONCURRENT)
        coroutineScope {
            for (line in generateSequence(::readLine)) {
                room.acquire()
                val command = parse(line)
                val id = command?.get("id")?.asLong
                if (command == null || id == null) {
                    answer(null, "error", describe(invalid("the line is no command")))
                    room.release()
                    continue
                }
                // Registered before it runs, so that the next line can cancel it.
                val job = launch(Dispatchers.Default, CoroutineStart.LAZY) { perform(id, command) }
                running[id] = job
                job.invokeOnCompletion {
                    running.remove(id)
                    if (it is CancellationException) answer(id, "cancelled", GSON.toJsonTree(true))
                    room.release()
                }
                job.start()
            }
        }
        p.shutdown()
    }

    fun parse(line: String): JsonObject? =
        try {
            JsonParser.parseString(line).takeIf(JsonElement::isJsonObject)?.asJsonObject
        } catch (_: JsonParseException) {
            null
        }

    suspend fun perform(id: Long, command: JsonObject) {
        try {
            obey(id, command)
        } catch (cancelled: CancellationException) {
            throw cancelled
        } catch (error: CancelledException) {
            val stream = command["next"]?.asLong
            val closed = stream != null && !streams.containsKey(stream)
            if (closed) answer(id, "cancelled", GSON.toJsonTree(true)) else answer(id, "error", describe(error))
        } catch (error: PillionException) {
            answer(id, "error", describe(error))
        } catch (error: Exception) {
            error.printStackTrace()
            answer(id, "error", describe(invalid(error.toString())))
        }
    }

    suspend fun obey(id: Long, command: JsonObject) {
        val request = command["open"]?.asJsonObject
        val after = (command["cancel_after"] ?: request?.get("cancel_after"))?.asLong
        if (after == null) {
            reply(id, command, request)
        } else {
            withTimeoutOrNull(after.milliseconds) { reply(id, command, request) }
                ?: answer(id, "cancelled", GSON.toJsonTree(true))
        }
    }

    suspend fun reply(id: Long, command: JsonObject, request: JsonObject?) {
        when {
            command.has("api") -> call(id, command)
            request != null -> open(id, request)
            command.has("next") -> message(id, opened(command["next"].asLong).next())
            command.has("send") -> {
                opened(command["send"].asLong).send(GSON.toJson(command["message"]))
                ok(id)
            }
            command.has("finish") -> ok(id, opened(command["finish"].asLong).finish() ?: "{}")
            command.has("fail") -> {
                opened(command["fail"].asLong).fail()
                ok(id)
            }
            command.has("close") -> {
                val stream = command["close"].asLong
                (streams.remove(stream) ?: throw invalid("there is no open stream $stream")).close()
                ok(id)
            }
            command.has("cancel") -> {
                running[command["cancel"].asLong]?.cancel()
                ok(id)
            }
            command.has("advance") -> {
                advance(command["advance"].asLong)
                ok(id)
            }
            else -> throw invalid("the line is no command")
        }
    }

    suspend fun call(id: Long, command: JsonObject) {
        val row = row(command) as? Row.Unary ?: throw invalid("${command["method"]} has a stream: open it")
        ok(id, row.call(p, args(command), options(command)))
    }

    suspend fun open(id: Long, command: JsonObject) {
        val stream = when (val row = row(command)) {
            is Row.Unary -> throw invalid("${command["method"]} has no stream: call it")
            is Row.Download -> row.open(p, args(command), options(command))
            is Row.Up -> row.open(p, options(command))
            is Row.Both -> row.open(p, options(command))
        }
        streams[id] = stream
        ok(id)
    }

    suspend fun advance(milliseconds: Long) {
        try {
            p.apis.testing.advanceClock(milliseconds.milliseconds)
        } catch (_: UnsupportedException) {
            throw unsupported("component.unsupported", "this driver cannot move the clock")
        }
    }

    fun row(command: JsonObject): Row {
        val name = "${command["api"].asString}.${command["method"].asString}"
        return METHODS[name]
            ?: throw unsupported("request.unknown_method", "there is no method `$name` in the contract")
    }

    fun opened(id: Long): Open = streams[id] ?: throw invalid("there is no open stream $id")

    fun args(command: JsonObject): String = command["args"]?.let(GSON::toJson) ?: "{}"

    fun options(command: JsonObject) =
        Options(
            command["timeout"]?.asLong?.milliseconds,
            command["app_id"]?.asString,
            command["token"]?.asString,
        )

    fun ok(id: Long, json: String = "{}") = answer(id, "ok", JsonParser.parseString(json))

    fun message(id: Long, json: String?) =
        if (json == null) answer(id, "end", GSON.toJsonTree(true)) else ok(id, json)

    fun answer(id: Long?, field: String, value: JsonElement) {
        val answer = JsonObject()
        answer.addProperty("id", id)
        answer.add(field, value)
        synchronized(this) {
            println(GSON.toJson(answer))
            System.out.flush()
        }
    }

    fun describe(error: PillionException): JsonObject {
        val described = JsonObject()
        described.addProperty("reason", error.reason)
        described.addProperty("outcome", if (error.outcome == Outcome.Rejected) "rejected" else "unknown")
        described.addProperty("message", error.info.message)
        described.addProperty("component", error.component.orEmpty())
        described.addProperty("retryable", error.isRetryable)
        described.add("metadata", GSON.toJsonTree(error.metadata))
        // By its class, as a program would tell it.
        val category = error.javaClass.simpleName.removeSuffix("Exception").removeSuffix("Error")
        described.addProperty("category", category.replace(Regex("(?<=.)([A-Z])"), "_$1").lowercase())
        return described
    }
}

public fun main(vararg arguments: String) {
    System.setOut(java.io.PrintStream(java.io.FileOutputStream(java.io.FileDescriptor.out), true, "UTF-8"))
    runBlocking {
        val opened = try {
            when {
                arguments.isEmpty() -> Pillion.open()
                arguments.contentEquals(arrayOf("--memory")) -> Pillion.embedded(testing = true)
                arguments.size == 2 && arguments[0] == "--embedded" ->
                    Pillion.embedded(configFile = arguments[1], testing = true)
                arguments.size == 2 && arguments[0] == "--endpoint" -> Pillion.connect(arguments[1], retries = 0u)
                else -> {
                    System.err.println(USAGE)
                    exitProcess(2)
                }
            }
        } catch (error: PillionException) {
            System.err.println(error.message)
            exitProcess(1)
        }
        Driver(opened).run()
    }
    exitProcess(0)
}
