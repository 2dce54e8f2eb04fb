package dev.pillion

import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow

/** A call that gives many answers: each is asked for. [close] ends it, and whatever waits for it. */
public class AnswerStream<A : Any> internal constructor(
    private val take: suspend () -> A?,
    private val shut: () -> Unit,
) : AutoCloseable {
    /** The next answer; null at the end. One that comes just as this is cancelled is lost. */
    public suspend fun next(): A? = called { take() }

    /** The answers; it can be collected once, and ends the call when it is no longer collected. */
    public fun asFlow(): Flow<A> = flow {
        use {
            while (true) emit(next() ?: break)
        }
    }

    override fun close(): Unit = crossing { shut() }
}

/** A call that takes many messages and gives one answer. */
public class Upload<Q : Any, A : Any> internal constructor(
    private val put: suspend (Q) -> Unit,
    private val end: suspend () -> A,
    private val breakOff: suspend (String) -> Unit,
    private val shut: () -> Unit,
) : AutoCloseable {
    /** Sends a message; waits while the other side is behind. */
    public suspend fun send(message: Q): Unit = called { put(message) }

    /** Ends the sending side well, and gives the answer. */
    public suspend fun finish(): A = called { end() }

    /** Ends the sending side with an error: what was sent never looks complete. */
    public suspend fun fail(message: String = "the upload failed"): Unit = called { breakOff(message) }

    override fun close(): Unit = crossing { shut() }
}

/** A call that takes many messages and gives many answers. */
public class Conversation<Q : Any, A : Any> internal constructor(
    private val take: suspend () -> A?,
    private val put: suspend (Q) -> Unit,
    private val end: suspend () -> Unit,
    private val breakOff: suspend (String) -> Unit,
    private val shut: () -> Unit,
) : AutoCloseable {
    /** The next answer; null at the end. */
    public suspend fun next(): A? = called { take() }

    /** Sends a message; waits while the other side is behind. */
    public suspend fun send(message: Q): Unit = called { put(message) }

    /** Ends the sending side well; the answers go on. */
    public suspend fun finish(): Unit = called { end() }

    /** Ends the sending side with an error. */
    public suspend fun fail(message: String = "the upload failed"): Unit = called { breakOff(message) }

    override fun close(): Unit = crossing { shut() }
}
