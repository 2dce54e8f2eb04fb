"use strict";

// The driver of the scenario runner for Node: calls as JSON lines on stdin, answers on stdout, as
// `docs/driver-protocol.md` says. No method is written here: they come from the generated table.

const { createInterface } = require("node:readline");
const { PillionError, UnsupportedError, connect, embedded, open } = require("../lib/index.js");
const { METHODS } = require("./gen/contract.js");
const { describe, fromJson, invalid, toJson } = require("./json.js");
const { Stream } = require("./stream.js");

const USAGE = "usage: node driver [--endpoint URL | --embedded CONFIG.yaml | --memory]";
/** Commands under way at once; the next line is read when one ends. */
const CONCURRENT = 256;
const CANCELLED = Symbol("cancelled");

function opened(args) {
  const [mode, value] = args;
  // What a retry would hide is what scenarios are about.
  if (mode === "--endpoint" && args.length === 2) return connect(value, { retries: 0 });
  if (mode === "--embedded" && args.length === 2) return embedded({ configFile: value, testing: true });
  if (mode === "--memory" && args.length === 1) return embedded({ testing: true });
  return args.length === 0 ? open() : undefined;
}

class Driver {
  #p;
  #apis = new Map();
  #streams = new Map();
  #running = new Map();
  #movable;

  constructor(p, movable) {
    this.#p = p;
    this.#movable = movable;
  }

  /** Obeys the lines of `input` until it ends. */
  async run(input) {
    const tasks = new Set();
    for await (const line of createInterface({ input })) {
      const task = this.#line(line).finally(() => tasks.delete(task));
      tasks.add(task);
      if (tasks.size >= CONCURRENT) await Promise.race(tasks);
    }
    await Promise.all(tasks);
    await this.#p.close();
  }

  async #line(line) {
    let command;
    try {
      command = JSON.parse(line);
      if (!Number.isSafeInteger(command?.id)) throw new Error("it has no id");
    } catch (error) {
      return this.#answer(null, { error: describe(invalid(`the line is no command: ${error.message}`)) });
    }
    const abort = new AbortController();
    this.#running.set(command.id, abort);
    try {
      this.#answer(command.id, await this.#obey(command, abort));
    } catch (error) {
      this.#answer(command.id, abort.signal.aborted ? { cancelled: true } : { error: failed(error) });
    } finally {
      this.#running.delete(command.id);
    }
  }

  #answer(id, answer) {
    process.stdout.write(`${JSON.stringify({ id, ...answer })}\n`);
  }

  async #obey(command, abort) {
    if (command.method !== undefined) return this.#call(command, abort);
    if (command.open) return this.#open(command.id, command.open);
    if (command.next !== undefined) return this.#next(command, abort);
    if (command.send !== undefined) return ok(this.#stream(command.send).send(command.message));
    if (command.finish !== undefined) return ok(this.#stream(command.finish).finish());
    if (command.fail !== undefined) return ok(this.#stream(command.fail).fail());
    if (command.close !== undefined) return this.#close(command.close);
    if (command.cancel !== undefined) return this.#cancel(command.cancel);
    if (command.advance !== undefined) return this.#advance(command.advance);
    throw invalid("the line is no command");
  }

  #found({ api, method }) {
    const found = METHODS[`${api}.${method}`];
    if (found === undefined) {
      const fields = { reason: "request.unknown_method", outcome: "rejected" };
      throw new UnsupportedError(`there is no method \`${api}.${method}\` in the contract`, fields);
    }
    return found;
  }

  #api(found) {
    let api = this.#apis.get(found.class);
    if (api === undefined) {
      api = new (require(`../lib/gen/${found.api}.js`)[found.class])(this.#p);
      this.#apis.set(found.class, api);
    }
    return api;
  }

  async #call(call, abort) {
    const found = this.#found(call);
    if (found.shape !== "unary") throw invalid(`${call.api}.${call.method} has a stream: open it`);
    const { positional, named } = parameters(found, call.args);
    const timer = after(call.cancel_after, abort);
    try {
      const all = { ...named, ...options(call), signal: abort.signal };
      const answer = await this.#api(found)[found.method](...positional, all);
      return { ok: toJson(found.answer, answer) };
    } finally {
      clearTimeout(timer);
    }
  }

  async #open(id, call) {
    const found = this.#found(call);
    if (found.shape === "unary") throw invalid(`${call.api}.${call.method} has no stream: call it`);
    const given = found.shape === "serverStream" ? parameters(found, call.args) : { positional: [], named: {} };
    const stream = new Stream(this.#api(found), found, given, options(call));
    await stream.opened();
    this.#streams.set(id, stream);
    return { ok: {} };
  }

  async #next({ next, cancel_after }, abort) {
    const stream = this.#stream(next);
    const timer = after(cancel_after, abort);
    const aborted = new Promise((resolve) => abort.signal.addEventListener("abort", () => resolve(CANCELLED)));
    try {
      const message = await Promise.race([stream.next(), aborted]);
      if (message === CANCELLED || stream.closed) return { cancelled: true };
      return message === undefined ? { end: true } : { ok: message };
    } catch (error) {
      if (stream.closed) return { cancelled: true };
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #stream(id) {
    const stream = this.#streams.get(id);
    if (stream === undefined) throw invalid(`there is no open stream ${id}`);
    return stream;
  }

  #close(id) {
    this.#stream(id).close();
    this.#streams.delete(id);
    return { ok: {} };
  }

  #cancel(id) {
    this.#running.get(id)?.abort();
    return { ok: {} };
  }

  async #advance(millis) {
    if (!this.#movable) {
      const fields = { reason: "component.unsupported", outcome: "rejected" };
      throw new UnsupportedError("this driver cannot move the clock", fields);
    }
    const { TestingApi } = require("../lib/gen/testing.js");
    await new TestingApi(this.#p).advanceClock(millis);
    return { ok: {} };
  }
}

/** The arguments of a method for a request in JSON. */
function parameters(found, args = {}) {
  const named = fromJson(found.request, args);
  const positional = found.positional.map((name) => {
    const value = named[name];
    delete named[name];
    return value;
  });
  return { positional, named };
}

function options({ timeout, app_id, token }) {
  return { timeoutMs: timeout, appId: app_id, token };
}

function after(millis, abort) {
  return millis === undefined ? undefined : setTimeout(() => abort.abort(), millis);
}

async function ok(done) {
  return { ok: (await done) ?? {} };
}

function failed(error) {
  if (error instanceof PillionError) return describe(error);
  // Anything else is a fault of this package or of the driver, and must not look like an error of the contract.
  return { category: "internal", reason: "driver.broken", outcome: "unknown", message: error?.stack ?? String(error) };
}

async function main() {
  const opening = opened(process.argv.slice(2));
  if (opening === undefined) {
    console.error(USAGE);
    process.exitCode = 2;
    return;
  }
  try {
    const movable = ["--embedded", "--memory"].includes(process.argv[2]);
    await new Driver(await opening, movable).run(process.stdin);
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  }
}

main();
