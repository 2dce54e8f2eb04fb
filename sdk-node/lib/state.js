"use strict";

// State for programs: the contract's methods with the values of JavaScript.

const { INSIDE } = require("./api.js");
const { MessageStream } = require("./stream.js");
const { StateApi } = require("./gen/state.js");
const { decode, encode } = require("./value.js");

/** An entry as programs see it. */
function shown(entry, as) {
  const { data, contentType } = entry.value ?? { data: Buffer.alloc(0), contentType: "" };
  const value = decode({ data, contentType }, as, entry.key);
  return { key: entry.key, value, etag: entry.etag, contentType, expiresIn: entry.expiresIn };
}

/** The condition of a write, of which there is at most one. */
function condition({ ifAbsent, ifMatch }) {
  if (ifMatch !== undefined) return { kind: { case: "ifMatch", value: ifMatch } };
  return ifAbsent ? { kind: { case: "ifAbsent", value: {} } } : undefined;
}

class State {
  #pillion;
  #api;
  #store;

  constructor(pillion, store = "") {
    this.#pillion = pillion;
    this.#api = new StateApi(pillion);
    this.#store = store;
  }

  store(name) {
    return new State(this.#pillion, name);
  }

  async get(key, options) {
    return (await this.getEntry(key, options))?.value;
  }

  async getEntry(key, options) {
    const { entry } = await this.#api.get(key, { ...options, store: this.#store });
    return entry && shown(entry, options?.as);
  }

  async set(key, value, options = {}) {
    const encoded = encode(value, options.contentType);
    return this.#api.set(key, encoded, { ...options, condition: condition(options), store: this.#store });
  }

  async delete(key, options = {}) {
    const given = { ...options, condition: condition(options), store: this.#store };
    return (await this.#api.delete(key, given)).existed;
  }

  async getMany(keys, options) {
    const { results } = await this.#api.getMany([...keys], { ...options, store: this.#store });
    const found = new Map();
    for (const { key, entry, error } of results) {
      if (error) throw error;
      if (entry) found.set(key, shown(entry, options?.as).value);
    }
    return found;
  }

  list(prefix = "", options) {
    const { native } = this.#pillion[INSIDE];
    const open = () => native.stateEntries(this.#request({ prefix, pageSize: options?.pageSize }), this.#call(options));
    return new MessageStream(open, { signal: options?.signal, map: (entry) => shown(entry, options?.as) });
  }

  keys(prefix = "", options) {
    const { native } = this.#pillion[INSIDE];
    const request = this.#request({ prefix, pageSize: options?.pageSize, keysOnly: true });
    const open = () => native.stateEntries(request, this.#call(options));
    return new MessageStream(open, { signal: options?.signal, map: (entry) => entry.key });
  }

  watch(prefix = "", options) {
    const { native } = this.#pillion[INSIDE];
    const request = this.#request({ prefix, key: options?.key, after: options?.after });
    const open = () => native.stateChanges(request, this.#call(options));
    return new MessageStream(open, { signal: options?.signal, map: (change) => changed(change, options?.as) });
  }

  #request(fields) {
    return { ...fields, store: this.#store };
  }

  #call(options) {
    return { ...this.#pillion[INSIDE].defaults, ...options };
  }
}

/** A change as programs see it. */
function changed({ event, revision }, as) {
  switch (event?.case) {
    case "written":
      return { type: "written", entry: shown(event.value.entry, as), revision };
    case "deleted":
      return { type: "deleted", key: event.value.key, expired: event.value.expired, revision };
    default:
      return { type: event?.case, revision };
  }
}

module.exports = { State };
