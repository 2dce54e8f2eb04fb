package dev.pillion

private const val BYTES = "application/octet-stream"
private const val TEXT = "text/plain; charset=utf-8"
private const val JSON = "application/json"

/** Bytes as a value. */
public fun Value(bytes: ByteArray): Value = Value(bytes, BYTES)

/** A text as a value. */
public fun Value(text: String): Value = Value(text.encodeToByteArray(), TEXT)

/** JSON that was written already, with whatever library, as a value. */
public fun jsonValue(json: String): Value = Value(json.encodeToByteArray(), JSON)

/** The value as text, whatever its content type is. */
public fun Value.text(): String = data.decodeToString()
