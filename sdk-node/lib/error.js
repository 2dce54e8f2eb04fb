"use strict";

// The error of every call. `gen/errors.js` has a class for each category.

// Two copies of this package, or one loaded by both `import` and `require`, know each other's errors by this.
const CATEGORY = Symbol.for("pillion.error.category");
const classes = new Map();

class PillionError extends Error {
  constructor(message, fields = {}) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.reason = fields.reason ?? "";
    this.outcome = fields.outcome ?? "unknown";
    this.retryable = fields.retryable ?? false;
    this.component = fields.component ?? "";
    this.metadata = fields.metadata ?? {};
    this.advice = fields.advice ?? "";
    if (fields.retryAfterMs !== undefined) this.retryAfterMs = fields.retryAfterMs;
  }

  get code() {
    return this.reason;
  }

  get category() {
    return this[CATEGORY];
  }

  static [Symbol.hasInstance](value) {
    if (Function.prototype[Symbol.hasInstance].call(this, value)) return true;
    if (typeof value !== "object" || value === null || !(CATEGORY in value)) return false;
    // A class that a program derived knows its own instances alone.
    if (!Object.hasOwn(this, CATEGORY)) return false;
    return this[CATEGORY] === undefined || this[CATEGORY] === value[CATEGORY];
  }
}
PillionError[CATEGORY] = undefined;
Object.defineProperty(PillionError.prototype, "name", { value: "PillionError", configurable: true, writable: true });
Object.defineProperty(PillionError.prototype, CATEGORY, { value: "internal" });

/** Makes `type` the class of a category. */
function category(type, name) {
  type[CATEGORY] = name;
  Object.defineProperty(type.prototype, "name", { value: type.name, configurable: true, writable: true });
  Object.defineProperty(type.prototype, CATEGORY, { value: name });
  classes.set(name, type);
}

/** The exception for an error as the native half gives it: fields of the contract's `Error`. */
function exception(error, cause) {
  const name = (short(error.category, "CATEGORY_") || "internal").toLowerCase();
  const type = classes.get(name) ?? classes.get("internal");
  return new type(error.message ?? "", {
    reason: error.reason,
    outcome: short(error.outcome, "OUTCOME_") === "rejected" ? "rejected" : "unknown",
    retryable: error.retryable,
    component: error.component,
    metadata: error.metadata,
    advice: error.advice,
    retryAfterMs: milliseconds(error.retryAfter),
    cause,
  });
}

/** The exception for what the native half threw: the error in JSON, as the message. */
function translated(thrown, cause) {
  const text = typeof thrown === "string" ? thrown : thrown?.message;
  if (typeof text !== "string" || !text.startsWith("{")) return typeof thrown === "string" ? new Error(thrown) : thrown;
  return exception(JSON.parse(text), cause);
}

/** `not_found` of `CATEGORY_NOT_FOUND` and of `not_found`. */
function short(name, prefix) {
  return typeof name === "string" ? name.replace(prefix, "").toLowerCase() : undefined;
}

/** A duration as JSON has it, or as objects have it. */
function milliseconds(duration) {
  return typeof duration === "string" ? Number.parseFloat(duration) * 1000 : duration;
}

/** The error of a call that a signal ended. The call may have taken effect, unless it had not begun. */
function cancelled(signal, begun) {
  const type = classes.get("cancelled");
  return new type("the call was cancelled by its signal", {
    reason: "request.cancelled",
    outcome: begun ? "unknown" : "rejected",
    cause: signal.reason,
  });
}

/** Makes exceptions of the errors that an answer holds; `paths` lead to them. */
function restore(answer, paths) {
  for (const path of paths) raise(answer, path, 0);
  return answer;
}

function raise(holder, path, at) {
  const held = holder[path[at]];
  if (held === undefined) return;
  const last = at === path.length - 1;
  if (Array.isArray(held)) {
    held.forEach((each, index) => (last ? (held[index] = exception(each)) : raise(each, path, at + 1)));
  } else if (last) {
    holder[path[at]] = exception(held);
  } else {
    raise(held, path, at + 1);
  }
}

module.exports = { PillionError, cancelled, category, exception, restore, translated };
