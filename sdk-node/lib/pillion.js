"use strict";

// The handle on a runtime.

const { INSIDE } = require("./api.js");
const { native, bridge, promise } = require("./bridge.js");
const { Apis } = require("./gen/apis.js");
const { CONTEXT, check, context } = require("./option.js");
const { State } = require("./state.js");

const READY_MS = 30_000;
const HANDLE = new Set(CONTEXT);
const WAIT = new Set(["timeoutMs", "signal"]);
const OPEN = new Set(["signal"]);
const EMBEDDED = new Set(["dataDir", "configFile", "appId", "testing", "signal"]);
const CONNECT = new Set(["connections", "token", "appId", "timeoutMs", "maxMessage", "retries", "keepAliveMs", "signal"]);

class Pillion {
  #closing;

  constructor(handle, defaults) {
    if (handle === undefined) throw new TypeError("a Pillion comes from `open`, `embedded` or `connect`");
    this[INSIDE] = { native: handle, defaults };
    Object.defineProperty(this, INSIDE, { enumerable: false });
    this.apis = new Apis(this);
    this.state = new State(this);
  }

  with(options) {
    check(options, HANDLE);
    const { native: handle, defaults } = this[INSIDE];
    return new Pillion(handle, context(defaults, options));
  }

  status(options) {
    return this.apis.actuator.getStatus(options);
  }

  async waitReady(options) {
    check(options, WAIT);
    const { timeoutMs = READY_MS, signal } = options ?? {};
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
async function opened(begin, options, known) {
  check(options, known);
  return new Pillion(await promise(begin, { signal: options?.signal }));
}

exports.Pillion = Pillion;
exports.open = (options) => opened(() => native.open(bridge), options, OPEN);
exports.embedded = (options) => opened(() => native.embedded(bridge, options), options, EMBEDDED);
exports.connect = (url, options) => opened(() => native.connect(bridge, url, options), options, CONNECT);
