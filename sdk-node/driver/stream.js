"use strict";

// A stream that the runner has opened.

const { fromJson, invalid, toJson } = require("./json.js");

/** Messages that the call has not taken yet. */
const UPLOAD_QUEUE = 16;

/** The messages of an upload: an iterator for the call, filled by commands. */
class Outbox {
  #queue = [];
  #room = [];
  #waiting;
  #over = false;

  /** Adds `{value}`, `{done: true}` or `{failure}`; resolves when there is room again. */
  async push(item) {
    if (this.#over) return;
    this.#queue.push(item);
    this.#waiting?.();
    if (this.#queue.length >= UPLOAD_QUEUE) await new Promise((resolve) => this.#room.push(resolve));
  }

  async next() {
    while (this.#queue.length === 0 && !this.#over) {
      await new Promise((resolve) => (this.#waiting = resolve));
    }
    const item = this.#queue.shift() ?? { done: true };
    this.#room.shift()?.();
    if (item.failure) throw item.failure;
    return item;
  }

  async return() {
    this.#over = true;
    this.#waiting?.();
    for (const resolve of this.#room.splice(0)) resolve();
    return { done: true };
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

class Stream {
  #method;
  #outbox;
  #source;
  #asked;
  #abort = new AbortController();

  constructor(api, method, given, options) {
    this.#method = method;
    const all = { ...options, signal: this.#abort.signal };
    if (method.shape === "serverStream") {
      this.#source = api[method.method](...given.positional, { ...given.named, ...all });
      return;
    }
    this.#outbox = new Outbox();
    const called = api[method.method](this.#outbox, all);
    this.#source = method.shape === "duplex" ? called : once(called);
  }

  /** Waits until the call has begun, where that can be known. */
  async opened() {
    if (this.#method.shape === "serverStream") await this.#source.opened();
  }

  /** The next message as JSON; `undefined` at the end. A `next` that was given up leaves its message to the next one. */
  async next() {
    this.#asked ??= this.#source.next();
    const asked = this.#asked;
    try {
      const { done, value } = await asked;
      return done ? undefined : toJson(this.#method.answer, value);
    } finally {
      if (this.#asked === asked) this.#asked = undefined;
    }
  }

  async send(json) {
    await this.#sending().push({ value: fromJson(this.#method.request, json) });
  }

  async finish() {
    await this.#sending().push({ done: true });
    return this.#method.shape === "clientStream" ? ((await this.next()) ?? {}) : {};
  }

  async fail() {
    await this.#sending().push({ failure: new Error("the upload failed, as it was told to") });
  }

  close() {
    this.#abort.abort();
    this.#outbox?.return();
    this.#asked?.catch(() => {});
  }

  get closed() {
    return this.#abort.signal.aborted;
  }

  #sending() {
    if (this.#outbox === undefined) throw invalid("nothing can be sent on this stream");
    return this.#outbox;
  }
}

/** The one answer of an upload, as a stream. */
function once(promise) {
  // Whether anybody asks is the runner's business.
  promise.catch(() => {});
  let asked = false;
  return {
    async next() {
      if (asked) return { done: true };
      asked = true;
      return { done: false, value: await promise };
    },
  };
}

module.exports = { Stream };
