"use strict";

const { promise } = require("./bridge.js");
const { cancelled, translated } = require("./error.js");

const DONE = Object.freeze({ done: true, value: undefined });

class MessageStream {
  #native;
  #options;
  #map;
  #failure;
  #unlisten;
  #ended = false;
  #closed = new AbortController();

  /**
   * `open` gives the native stream, to which `requests` are sent, if there are any. What cannot be opened
   * fails when it is read.
   */
  constructor(open, { signal, errors, map, requests } = {}) {
    this.#map = map;
    let sending;
    this.#options = { errors, cause: () => sending?.failure, signal: this.#closed.signal };
    if (signal?.aborted) return void this.#end(cancelled(signal, false));
    try {
      this.#native = open();
    } catch (error) {
      return void this.#end(translated(error));
    }
    if (requests) sending = send(this.#native, requests, this.#closed.signal);
    if (signal) {
      // Weak: a signal that outlives many streams must not keep them.
      const weak = new WeakRef(this);
      const abort = () => weak.deref()?.#end(cancelled(signal, true));
      signal.addEventListener("abort", abort, { once: true });
      this.#unlisten = () => signal.removeEventListener("abort", abort);
    }
  }

  async opened() {
    await this.#ask("opened");
    return this;
  }

  async next() {
    const message = await this.#ask("next");
    if (message === undefined) {
      this.#end();
      return DONE;
    }
    return { done: false, value: this.#map ? this.#map(message) : message };
  }

  async return(value) {
    this.#end();
    return { done: true, value };
  }

  async throw(error) {
    this.#end();
    throw error;
  }

  close() {
    this.#end();
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  async [Symbol.asyncDispose]() {
    this.#end();
  }

  async #ask(method) {
    if (this.#failure) {
      const failure = this.#failure;
      this.#failure = undefined;
      throw failure;
    }
    if (this.#ended) return undefined;
    try {
      return await promise(() => this.#native[method](), this.#options);
    } catch (error) {
      // It was closed meanwhile, or its signal came: `#end` knows.
      if (this.#ended) return this.#ask(method);
      this.#end();
      throw error;
    }
  }

  #end(failure) {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    this.#unlisten?.();
    try {
      this.#native?.close();
    } catch (error) {
      this.#failure ??= translated(error);
    }
    this.#closed.abort();
  }
}

/**
 * Sends `requests` on a native stream, as fast as the call takes them, until the signal `ended`. If they fail, the
 * call does, so that what was sent never looks complete; `failure` of what this returns is then their error.
 */
function send(native, requests, ended) {
  const sending = { failure: undefined };
  pump(native, requests, ended).catch((error) => {
    sending.failure = error;
    return promise(() => native.fail()).catch(() => {});
  });
  return sending;
}

async function pump(native, requests, ended) {
  const iterator = requests[Symbol.asyncIterator]?.() ?? requests[Symbol.iterator]();
  const over = new Promise((resolve) => ended.addEventListener("abort", () => resolve(DONE), { once: true }));
  for (;;) {
    const { done, value } = await Promise.race([iterator.next(), over]);
    if (done && !ended.aborted) {
      await promise(() => native.finish());
      return;
    }
    if (ended.aborted || !(await promise(() => native.send(value)))) {
      // Not awaited: a generator that waits for something else would wait on.
      Promise.resolve(iterator.return?.()).catch(() => {});
      return;
    }
  }
}

module.exports = { MessageStream };
