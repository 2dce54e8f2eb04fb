package dev.pillion

import kotlin.coroutines.ContinuationInterceptor
import kotlin.time.Duration
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.withContext

/**
 * Makes a call, unless the coroutine was cancelled: it would be made, and only its answer be lost.
 *
 * A coroutine that no dispatcher takes elsewhere, such as `suspend fun main`, would go on in the thread of the
 * library that has the answer, and keep it from all other calls. It goes on in a thread of Kotlin's own.
 */
internal suspend fun <T> called(block: suspend () -> T): T {
    val context = currentCoroutineContext()
    context.ensureActive()
    val dispatcher = context[ContinuationInterceptor]
    return if (dispatcher == null || dispatcher === Dispatchers.Unconfined) {
        withContext(Dispatchers.Default) { crossing { block() } }
    } else {
        crossing { block() }
    }
}

/** Runs [block]; what the other side throws becomes a [PillionException]. Other exceptions stay as they are. */
internal inline fun <T> crossing(block: () -> T): T =
    try {
        block()
    } catch (failed: FfiException.Failed) {
        throw exception(failed.info)
    } catch (panic: InternalException) {
        throw InternalErrorException(panicked(panic.message.orEmpty()))
    }

/** How one call differs from the others. */
internal fun call(timeout: Duration?, appId: String?, token: String?, traceparent: String?): FfiCall =
    FfiCall(timeout = timeout, appId = appId, token = token, trace = traceparent)

internal fun panicked(message: String): ErrorInfo =
    ErrorInfo(
        category = Category.Internal,
        reason = "runtime.panic",
        message = "the call panicked: $message",
        outcome = Outcome.Unknown,
        retryable = false,
        component = "",
        metadata = emptyMap(),
        retryAfter = null,
        advice = "this is a defect; please report it",
    )
