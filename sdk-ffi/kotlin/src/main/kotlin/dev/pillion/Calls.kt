package dev.pillion

import kotlin.time.Duration

/** Runs [block]; what it throws becomes a [PillionException]. That a coroutine was cancelled stays as it is. */
internal inline fun <T> called(block: () -> T): T =
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
        reason = "runtime.internal",
        message = "the call panicked: $message",
        outcome = Outcome.Unknown,
        retryable = false,
        component = "",
        metadata = emptyMap(),
        retryAfter = null,
        advice = "this is a defect; please report it",
    )
