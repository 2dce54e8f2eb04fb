"use strict";

// What the generated classes stand on: how calls of each shape are made.

const { promise } = require("./bridge.js");
const { MessageStream } = require("./stream.js");

/** Under this a handle keeps what its APIs need: the native handle, and the options of every call. */
const INSIDE = Symbol("pillion");
const CONTEXT = ["timeoutMs", "appId", "token", "traceparent", "tracestate"];

/** What goes with a call beside its request; `undefined` if nothing does. */
function context(defaults, options) {
  if (options === undefined || !CONTEXT.some((name) => options[name] !== undefined)) return defaults;
  const own = { ...defaults };
  for (const name of CONTEXT) if (options[name] !== undefined) own[name] = options[name];
  return own;
}

class Api {
  #native;
  #defaults;

  constructor(pillion) {
    ({ native: this.#native, defaults: this.#defaults } = pillion[INSIDE]);
  }

  unary(method, request, options, errors) {
    const begin = () => this.#native[method](request, context(this.#defaults, options));
    return promise(begin, { signal: options?.signal, errors });
  }

  serverStream(method, request, options, errors) {
    const open = () => this.#native[method](request, context(this.#defaults, options));
    return new MessageStream(open, { signal: options?.signal, errors });
  }

  async clientStream(method, requests, options, errors) {
    const open = () => this.#native[method](context(this.#defaults, options));
    const stream = new MessageStream(open, { signal: options?.signal, errors, requests });
    try {
      const { value } = await stream.next();
      return value;
    } finally {
      stream.close();
    }
  }

  duplex(method, requests, options, errors) {
    const open = () => this.#native[method](context(this.#defaults, options));
    return new MessageStream(open, { signal: options?.signal, errors, requests });
  }
}

module.exports = { Api, INSIDE };
