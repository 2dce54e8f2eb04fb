"use strict";

// What the generated classes stand on: how calls of each shape are made.

const { promise } = require("./bridge.js");
const { callOptions, check, context } = require("./option.js");
const { MessageStream } = require("./stream.js");

/** Under this a handle keeps what its APIs need: the native handle, and the options of every call. */
const INSIDE = Symbol("pillion");

/** A method of the contract: its exported function, the names of its options, and where its answer holds errors. */
function method(name, options, errors) {
  return { name, options: callOptions(...options), errors };
}

class Api {
  #native;
  #defaults;

  constructor(pillion) {
    ({ native: this.#native, defaults: this.#defaults } = pillion[INSIDE]);
  }

  unary({ name, options: known, errors }, request, options) {
    const begin = () => {
      check(options, known);
      return this.#native[name](request, context(this.#defaults, options));
    };
    return promise(begin, { signal: options?.signal, errors });
  }

  serverStream({ name, options: known, errors }, request, options) {
    const open = () => {
      check(options, known);
      return this.#native[name](request, context(this.#defaults, options));
    };
    return new MessageStream(open, { signal: options?.signal, errors });
  }

  async clientStream(called, requests, options) {
    const stream = this.duplex(called, requests, options);
    try {
      const { value } = await stream.next();
      return value;
    } finally {
      stream.close();
    }
  }

  duplex({ name, options: known, errors }, requests, options) {
    const open = () => {
      check(options, known);
      return this.#native[name](context(this.#defaults, options));
    };
    return new MessageStream(open, { signal: options?.signal, errors, requests });
  }
}

module.exports = { Api, INSIDE, method };
