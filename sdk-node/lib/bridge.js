"use strict";

// Promises for calls that the native half could not answer at once.

const native = require("./native.js");
const { cancelled, restore, translated } = require("./error.js");

/** So many answers in a row may come at once before one goes round the event loop, so that nothing starves. */
const AT_ONCE = 64;
/** The longest that a timer of Node can wait. */
const FOREVER = 2 ** 31 - 1;

const waiting = new Map();
// While calls are under way the program must not end; while none is, nothing of Pillion keeps it alive.
const alive = setInterval(() => {}, FOREVER).unref();
let atOnce = 0;

const bridge = new native.Bridge(() => {
  const taken = bridge.take();
  for (let at = 0; at < taken.length; at += 3) settle(taken[at], taken[at + 1], taken[at + 2]);
});

function settle(id, error, answer) {
  const call = forget(id);
  // One that was cancelled meanwhile has been settled.
  if (call === undefined) return;
  if (error === undefined) call.resolve(call.errors ? restore(answer, call.errors) : answer);
  else call.reject(translated(error, call.cause?.()));
}

function forget(id) {
  const call = waiting.get(id);
  if (call === undefined) return undefined;
  waiting.delete(id);
  if (waiting.size === 0) alive.unref();
  call.signal?.removeEventListener("abort", call.abort);
  return call;
}

/**
 * Makes a call and gives the promise of its answer. `begin` returns the answer, or the number of a call under way.
 */
function promise(begin, { signal, errors, cause } = {}) {
  if (signal?.aborted) return Promise.reject(cancelled(signal, false));
  let begun;
  try {
    begun = begin();
  } catch (error) {
    return Promise.reject(translated(error, cause?.()));
  }
  if (typeof begun === "number") return pending(begun, signal, errors, cause);
  const answer = errors && begun ? restore(begun, errors) : begun;
  atOnce += 1;
  if (atOnce < AT_ONCE) return Promise.resolve(answer);
  atOnce = 0;
  return new Promise((resolve) => setImmediate(resolve, answer));
}

function pending(id, signal, errors, cause) {
  if (waiting.size === 0) alive.ref();
  atOnce = 0;
  return new Promise((resolve, reject) => {
    const call = { resolve, reject, errors, cause, signal, abort: undefined };
    if (signal) {
      call.abort = () => {
        forget(id);
        let error = cancelled(signal, true);
        try {
          bridge.cancel(id);
        } catch (thrown) {
          error = translated(thrown);
        }
        reject(error);
      };
      signal.addEventListener("abort", call.abort, { once: true });
    }
    waiting.set(id, call);
  });
}

module.exports = { bridge, native, promise };
