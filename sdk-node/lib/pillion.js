"use strict";

// The handle on a runtime.

const { INSIDE } = require("./api.js");
const { native, bridge, promise } = require("./bridge.js");
const { Apis } = require("./gen/apis.js");
const { State } = require("./state.js");

const READY_MS = 30_000;

class Pillion {
  #closing;

  constructor(handle, defaults) {
    this[INSIDE] = { native: handle, defaults };
    Object.defineProperty(this, INSIDE, { enumerable: false });
    this.apis = new Apis(this);
    this.state = new State(this);
  }

  with(options) {
    const { native: handle, defaults } = this[INSIDE];
    return new Pillion(handle, { ...defaults, ...options });
  }

  status(options) {
    return this.apis.actuator.getStatus(options);
  }

  async waitReady({ timeoutMs = READY_MS, signal } = {}) {
    await promise(() => this[INSIDE].native.waitReady(timeoutMs), { signal });
  }

  close() {
    this.#closing ??= promise(() => this[INSIDE].native.close());
    return this.#closing;
  }

  [Symbol.asyncDispose]() {
    return this.close();
  }
}

/** The handle, once it is open. */
async function opened(begin, options) {
  return new Pillion(await promise(begin, { signal: options?.signal }));
}

exports.Pillion = Pillion;
exports.open = (options) => opened(() => native.open(bridge), options);
exports.embedded = (options) => opened(() => native.embedded(bridge, options), options);
exports.connect = (url, options) => opened(() => native.connect(bridge, url, options), options);
