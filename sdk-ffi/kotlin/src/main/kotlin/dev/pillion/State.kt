package dev.pillion

import kotlin.time.Duration
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.emitAll
import kotlinx.coroutines.flow.flow

/** Values under keys, in one store. */
public class State internal constructor(
    private val ffi: FfiRuntime,
    private val name: String = "",
    private val timeout: Duration? = null,
    private val appId: String? = null,
) {
    private val api = StateApi(crossing { ffi.state() })

    /** The store that is declared under this name. */
    public fun store(name: String): State = State(ffi, name, timeout, appId)

    /** The same store, with a limit on how long each call may take. */
    public fun withTimeout(timeout: Duration): State = State(ffi, name, timeout, appId)

    /** The same store, on behalf of an application. */
    public fun withAppId(appId: String): State = State(ffi, name, timeout, appId)

    /** The bytes under [key]; null if there is none. */
    public suspend fun get(key: String, consistency: Consistency = Consistency.Unspecified): ByteArray? =
        getEntry(key, consistency)?.value?.data

    /** The text under [key]; null if there is none. */
    public suspend fun getText(key: String, consistency: Consistency = Consistency.Unspecified): String? =
        getEntry(key, consistency)?.value?.text()

    /** The entry under [key], with its etag, content type and remaining lifetime; null if there is none. */
    public suspend fun getEntry(key: String, consistency: Consistency = Consistency.Unspecified): StateEntry? =
        api.get(key, store = name, consistency = consistency, timeout = timeout, appId = appId).entry

    /** Many entries by their keys; only those that there are. */
    public suspend fun getMany(
        keys: List<String>,
        consistency: Consistency = Consistency.Unspecified,
    ): Map<String, StateEntry> = buildMap {
        val found = api.getMany(keys, store = name, consistency = consistency, timeout = timeout, appId = appId)
        for (result in found.results) {
            result.error?.let { throw exception(it) }
            result.entry?.let { put(result.key, it) }
        }
    }

    /**
     * Writes a value.
     *
     * ```kotlin
     * val (etag) = p.state.set("cart:42", jsonValue("""{"items": 3}"""), ttl = 10.minutes)
     * ```
     *
     * @param ttl the entry is gone after this time
     * @param ifAbsent only if there is no entry
     * @param ifMatch only if the entry has this etag
     * @throws ExistsException if there is an entry and there should be none
     * @throws ConflictException if somebody else was faster
     */
    public suspend fun set(
        key: String,
        value: Value,
        ttl: Duration? = null,
        keepTtl: Boolean = false,
        ifAbsent: Boolean = false,
        ifMatch: String? = null,
        consistency: Consistency = Consistency.Unspecified,
        idempotencyKey: String = "",
    ): StateSetResponse =
        api.set(
            key, value, store = name, condition = condition(ifAbsent, ifMatch), ttl = ttl, keepTtl = keepTtl,
            consistency = consistency, idempotencyKey = idempotencyKey, timeout = timeout, appId = appId,
        )

    /** Writes bytes; see the first form. */
    public suspend fun set(
        key: String,
        bytes: ByteArray,
        ttl: Duration? = null,
        ifAbsent: Boolean = false,
        ifMatch: String? = null,
    ): StateSetResponse = set(key, Value(bytes), ttl, ifAbsent = ifAbsent, ifMatch = ifMatch)

    /** Writes a text; see the first form. */
    public suspend fun set(
        key: String,
        text: String,
        ttl: Duration? = null,
        ifAbsent: Boolean = false,
        ifMatch: String? = null,
    ): StateSetResponse = set(key, Value(text), ttl, ifAbsent = ifAbsent, ifMatch = ifMatch)

    /** Deletes an entry; says whether there was one. */
    public suspend fun delete(key: String, ifMatch: String? = null, idempotencyKey: String = ""): Boolean =
        api.delete(
            key, store = name, condition = condition(false, ifMatch), idempotencyKey = idempotencyKey,
            timeout = timeout, appId = appId,
        ).existed

    /**
     * The entries whose key begins with [prefix], fetched page by page as they are collected.
     *
     * ```kotlin
     * p.state.list("cart:").collect { println(it.key) }
     * ```
     */
    public fun list(prefix: String = "", pageSize: Int? = null): Flow<StateEntry> =
        entries(prefix, keysOnly = false, pageSize)

    /** As [list], without the values. */
    public fun keys(prefix: String = "", pageSize: Int? = null): Flow<StateEntry> =
        entries(prefix, keysOnly = true, pageSize)

    /**
     * Reports the entries whose key begins with [prefix] (or the one at [key]), then `Synced`, and then every
     * change. A lost connection is made again; what may have been missed is said by `Resync`.
     *
     * ```kotlin
     * p.state.watch("cart:").filterIsInstance<StateChange.Deleted>().collect { println(it.key) }
     * ```
     */
    public fun watch(prefix: String = "", key: String? = null): Flow<StateChange> = flow {
        val changes = called { ffi.watchState(name, prefix, key, call(timeout, appId, null, null)) }
        emitAll(AnswerStream({ changes.next(null) }, changes::shut).asFlow())
    }

    private fun entries(prefix: String, keysOnly: Boolean, pageSize: Int?): Flow<StateEntry> = flow {
        val entries = called { ffi.listState(name, prefix, keysOnly, pageSize, call(timeout, appId, null, null)) }
        emitAll(AnswerStream({ entries.next(null) }, entries::shut).asFlow())
    }

    private fun condition(ifAbsent: Boolean, ifMatch: String?): StateCondition? {
        require(!ifAbsent || ifMatch == null) { "ifAbsent and ifMatch exclude each other" }
        return when {
            ifAbsent -> StateCondition(StateConditionKind.IfAbsent(StateIfAbsent()))
            ifMatch != null -> StateCondition(StateConditionKind.IfMatch(ifMatch))
            else -> null
        }
    }
}
