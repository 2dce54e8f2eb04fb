package dev.pillion

import com.sun.jna.CallbackThreadInitializer
import com.sun.jna.Native
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.runBlocking

/**
 * A runtime: in this process, or a sidecar.
 *
 * ```kotlin
 * Pillion.open().use { p ->
 *     p.state.set("cart:42", "two items")
 *     println(p.state.getText("cart:42"))
 * }
 * ```
 *
 * Calls suspend; cancelling their coroutine drops them where they run.
 */
public class Pillion private constructor(private val ffi: FfiRuntime) : AutoCloseable {
    /** The default state store; `p.state.store("orders")` is a named one. */
    public val state: State = State(ffi)

    /** The calls as they are in the contract. */
    public val apis: Apis = Apis(ffi)

    /** What tests do to a runtime that was opened with `testing = true`. */
    public val testing: TestKit get() = TestKit(apis.testing)

    /** Waits until every component can be used; throws what was still in the way. */
    public suspend fun waitReady(timeout: Duration = 30.seconds): Unit = called { ffi.waitReady(timeout) }

    /**
     * Closes the connection, or stops the runtime, and waits for that. Calls that are under way end first;
     * streams end, and so does every later call, with `runtime.closed`.
     */
    public suspend fun shutdown(): Unit = called { ffi.shut() }

    /** As [shutdown], for `use`: it blocks the thread, so that a folder of data is free when it returns. */
    override fun close(): Unit = runBlocking { shutdown() }

    public companion object {
        init {
            // The threads of the library stay attached to the JVM once they called back. Otherwise each call that
            // waits would pay for attaching and detaching one, and would complain where the JVM is about to end.
            val attached = CallbackThreadInitializer(true, false, "pillion")
            Native.setCallbackThreadInitializer(uniffiRustFutureContinuationCallbackImpl, attached)
        }

        /** The sidecar at `PILLION_ENDPOINT` if that is set, otherwise a runtime in this process. */
        public suspend fun open(): Pillion = Pillion(called { FfiRuntime.open() })

        /**
         * A runtime in this process: in memory, or in a folder, or as a configuration file says.
         *
         * @param dataDir where the data is kept, by one process at a time
         * @param testing with a clock that moves and components that fail on demand: see [Pillion.testing]
         */
        public suspend fun embedded(
            dataDir: String? = null,
            configFile: String? = null,
            appId: String? = null,
            testing: Boolean = false,
        ): Pillion = Pillion(called { FfiRuntime.embedded(FfiEmbedded(dataDir, configFile, appId, testing)) })

        /** A sidecar: `http://HOST:PORT` or `unix:///PATH`. Nothing is connected until the first call. */
        public suspend fun connect(
            url: String = "http://127.0.0.1:34904",
            token: String? = null,
            appId: String? = null,
            timeout: Duration? = null,
            retries: UInt? = null,
            connections: UInt? = null,
        ): Pillion =
            Pillion(called { FfiRuntime.connect(url, FfiConnect(token, appId, timeout, retries, connections)) })
    }
}
