"use strict";

// State for programs: the contract's methods with the values of JavaScript.

const { INSIDE } = require("./api.js");
const { StateApi } = require("./gen/state.js");
const { callOptions, check, context, refused } = require("./option.js");
const { MessageStream } = require("./stream.js");
const { decode, encode } = require("./value.js");

const { METHODS } = StateApi;
const NO_BYTES = { data: Buffer.alloc(0), contentType: "" };

/** The value of an entry as programs see it. */
function valueOf({ key, value = NO_BYTES }, as) {
  return decode(value, as, key);
}

/** An entry as programs see it. */
function shown(entry, as) {
  const { key, etag, expiresIn, value: { contentType } = NO_BYTES } = entry;
  return { key, value: valueOf(entry, as), etag, contentType, expiresIn };
}

/** The condition of a write, of which there is at most one. */
function condition(options) {
  if (options?.ifMatch !== undefined) return { kind: { case: "ifMatch", value: options.ifMatch } };
  return options?.ifAbsent ? { kind: { case: "ifAbsent", value: {} } } : undefined;
}

/** What the handle says itself of a request. */
const OWN = new Set(["store", "condition"]);

/** A method as the handle has it: with options of its own, and without what it says itself. */
function taking(method, ...own) {
  const options = [...method.options].filter((name) => !OWN.has(name));
  return { ...method, options: new Set([...own, ...options]) };
}

const GET = taking(METHODS.get, "as");
const GET_MANY = taking(METHODS.getMany, "as");
const SET = taking(METHODS.set, "ifAbsent", "ifMatch", "contentType");
const DELETE = taking(METHODS.delete, "ifMatch");
const LIST = callOptions("pageSize", "as");
const KEYS = callOptions("pageSize");
const WATCH = callOptions("key", "after", "as");

class State {
  #pillion;
  #api;
  #store;

  constructor(pillion, store) {
    this.#pillion = pillion;
    this.#api = new StateApi(pillion);
    this.#store = store;
  }

  store(name) {
    return new State(this.#pillion, name);
  }

  async get(key, options) {
    const { entry } = await this.#api.unary(GET, { key, store: this.#store, ...options }, options);
    return entry && valueOf(entry, options?.as);
  }

  async getEntry(key, options) {
    const { entry } = await this.#api.unary(GET, { key, store: this.#store, ...options }, options);
    return entry && shown(entry, options?.as);
  }

  async set(key, value, options) {
    const encoded = encode(value, options?.contentType);
    const request = { key, value: encoded, store: this.#store, condition: condition(options), ...options };
    return this.#api.unary(SET, request, options);
  }

  async delete(key, options) {
    const request = { key, store: this.#store, condition: condition(options), ...options };
    return (await this.#api.unary(DELETE, request, options)).existed;
  }

  async getMany(keys, options) {
    // A string can be iterated as well, and its letters are nobody's keys.
    if (typeof keys === "string" || typeof keys?.[Symbol.iterator] !== "function") {
      throw refused(`\`keys\` must be a list of strings, but is ${keys === undefined ? "absent" : `a ${typeof keys}`}`);
    }
    const { results } = await this.#api.unary(GET_MANY, { keys: [...keys], store: this.#store, ...options }, options);
    const found = new Map();
    for (const { key, entry, error } of results) {
      if (error) throw error;
      if (entry) found.set(key, valueOf(entry, options?.as));
    }
    return found;
  }

  list(prefix, options) {
    const selection = { prefix, pageSize: options?.pageSize };
    return this.#stream("stateEntries", selection, options, LIST, (entry) => shown(entry, options?.as));
  }

  keys(prefix, options) {
    const selection = { prefix, pageSize: options?.pageSize, keysOnly: true };
    return this.#stream("stateEntries", selection, options, KEYS, (entry) => entry.key);
  }

  watch(prefix, options) {
    const selection = { prefix, key: options?.key, after: options?.after };
    return this.#stream("stateChanges", selection, options, WATCH, (change) => changed(change, options?.as));
  }

  #stream(method, selection, options, known, map) {
    const { native, defaults } = this.#pillion[INSIDE];
    const open = () => {
      check(options, known);
      return native[method]({ ...selection, store: this.#store }, context(defaults, options));
    };
    return new MessageStream(open, { signal: options?.signal, map });
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
