package dev.pillion

import kotlin.time.Duration

/**
 * What every failed call throws; there is a class for each category, so `when` can go through them.
 *
 * That the coroutine was cancelled is no failure: it stays Kotlin's own `CancellationException`.
 */
public sealed class PillionException(
    /** All of it, as the runtime gave it. */
    public val info: ErrorInfo,
) : RuntimeException(listOf(info.message, info.advice).filter(String::isNotEmpty).joinToString("; ")) {
    /** The code, which `pillion explain` knows: `state.etag_mismatch`. */
    public val reason: String get() = info.reason

    /** Whether the call may have taken effect. */
    public val outcome: Outcome get() = info.outcome

    /** Whether trying again later may succeed. */
    public val isRetryable: Boolean get() = info.retryable

    /** The component that failed, if one did. */
    public val component: String? get() = info.component.ifEmpty { null }

    /** Details for programs. */
    public val metadata: Map<String, String> get() = info.metadata

    /** How long to wait at least before trying again. */
    public val retryAfter: Duration? get() = info.retryAfter

    /** What to do next. */
    public val advice: String get() = info.advice
}
