"use strict";

// Options are known by name: a typing error must not pass for a default.

const { InvalidError } = require("./gen/errors.js");

/** What every call can be given beside its request and its signal. */
const CONTEXT = ["timeoutMs", "appId", "token", "traceparent", "tracestate"];

/** The options of a call: these and those of every call. */
function callOptions(...own) {
  return new Set([...own, "signal", ...CONTEXT]);
}

function refused(message) {
  return new InvalidError(message, { reason: "request.invalid", outcome: "rejected" });
}

/** Refuses options that are not among the `known`. */
function check(options, known) {
  if (options === undefined || options === null) return;
  if (typeof options !== "object") throw refused(`options must be an object, but are a ${typeof options}`);
  for (const name of Object.keys(options)) {
    if (known.has(name)) continue;
    const names = Array.from(known, (each) => `\`${each}\``).join(", ");
    throw refused(`\`${name}\` is no option here; there are ${names}`);
  }
  const { signal } = options;
  if (signal !== undefined && signal !== null && typeof signal.addEventListener !== "function") {
    throw refused("`signal` must be an AbortSignal; an AbortController has it as its `signal`");
  }
}

/** What goes with a call beside its request: the defaults of its handle, and what the options say instead. */
function context(defaults, options) {
  if (options === undefined || options === null) return defaults;
  let own = defaults;
  for (const name of CONTEXT) {
    if (options[name] === undefined) continue;
    if (own === defaults) own = { ...defaults };
    own[name] = options[name];
  }
  return own;
}

module.exports = { CONTEXT, callOptions, check, context, refused };
