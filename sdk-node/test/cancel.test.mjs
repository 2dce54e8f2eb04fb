// A signal at every await: whatever a call waits for when it comes, the call ends, and nothing stays behind.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { after, before, test } from "node:test";
import { CancelledError, PillionError, connect, embedded, open } from "../lib/index.mjs";
import shapes from "../lib/gen/shapes.js";
import support from "./support.js";

/** After so many turns of the event loop the signal comes. */
const TURNS = [0, 1, 2, 3, 5, 8, 13];

let sidecar;
const handles = {};
before(async () => {
  sidecar = await support.Sidecar.start();
  handles.embedded = await embedded();
  handles.sidecar = await connect(sidecar.url);
  await handles.sidecar.waitReady();
});
after(async () => {
  await Promise.all(Object.values(handles).map((p) => p.close()));
  await sidecar.kill();
});

async function* many() {
  for (let index = 0; ; index += 1) {
    yield { part: { case: "chunk", value: Buffer.alloc(16) }, text: String(index) };
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function drain(stream) {
  const seen = [];
  for await (const message of stream) seen.push(message);
  return seen;
}

/** Every way to wait: each takes the options of a call and gives a promise. */
function calls(p) {
  const shape = new shapes.ShapesApi(p);
  const generated = { ...methods("state", p.apis.state), ...methods("actuator", p.apis.actuator) };
  return {
    ...generated,
    get: (options) => p.state.get("a", options),
    getEntry: (options) => p.state.getEntry("a", options),
    set: (options) => p.state.set("a", 1, options),
    delete: (options) => p.state.delete("a", options),
    getMany: (options) => p.state.getMany(["a", "b"], options),
    list: (options) => drain(p.state.list("", options)),
    keys: (options) => drain(p.state.keys("", options)),
    watch: (options) => drain(p.state.watch("", options)),
    watchOpened: (options) => p.state.watch("", options).opened(),
    status: (options) => p.status(options),
    waitReady: (options) => p.waitReady(options),
    echo: (options) => shape.echo({}, options),
    act: (options) => shape.act("answer", { after: 600_000, ...options }),
    expand: (options) => drain(shape.expand(1_000_000, { every: 1, ...options })),
    collect: (options) => shape.collect(many(), options),
    converse: (options) => drain(shape.converse(many(), options)),
  };
}

/** The methods of an API, called without their arguments: what they refuse they may refuse. */
function methods(name, api) {
  const names = Object.getOwnPropertyNames(Object.getPrototypeOf(api)).filter((method) => method !== "constructor");
  return Object.fromEntries(
    names.map((method) => [
      `${name}.${method}`,
      (options) => {
        // `options` come last, wherever that is.
        const made = api[method](...Array.from({ length: api[method].length - 1 }), options);
        return made instanceof Promise ? made : drain(made);
      },
    ]),
  );
}

async function turns(count) {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Nothing of it is there any more: neither a call nor a listener. */
async function nothingStays(p, signal) {
  assert.equal(getEventListeners(signal, "abort").length, 0, "the signal is still listened to");
  const shape = new shapes.ShapesApi(p);
  while ((await shape.count()).open > 0n) await new Promise((resolve) => setTimeout(resolve, 1));
}

for (const mode of ["embedded", "sidecar"]) {
  test(`a signal ends every call, whenever it comes: ${mode}`, async (t) => {
    const p = handles[mode];
    for (const [name, call] of Object.entries(calls(p))) {
      await t.test(name, async () => {
        const why = new Error("enough");
        await assert.rejects(call({ signal: AbortSignal.abort(why) }), { category: "cancelled", outcome: "rejected", cause: why });
        for (const count of TURNS) {
          const abort = new AbortController();
          const ended = call({ signal: abort.signal }).then(
            () => undefined,
            (error) => error,
          );
          await turns(count);
          abort.abort(why);
          const error = await ended;
          // Answered before the signal came, refused for what was left out, or cancelled: nothing else.
          if (error instanceof CancelledError) assert.equal(error.cause, why);
          else assert.ok(error === undefined || (error instanceof PillionError && error.category === "invalid"), error);
          await nothingStays(p, abort.signal);
        }
      });
    }
  });
}

test("a signal gives up opening", async () => {
  const why = new Error("enough");
  for (const begin of [(options) => embedded(options), (options) => connect(sidecar.url, options), (options) => open(options)]) {
    await assert.rejects(begin({ signal: AbortSignal.abort(why) }), { category: "cancelled", cause: why });
    for (const count of TURNS) {
      const abort = new AbortController();
      const opening = begin({ signal: abort.signal }).catch((error) => error);
      await turns(count);
      abort.abort(why);
      const opened = await opening;
      if (opened instanceof Error) assert.ok(opened instanceof CancelledError && opened.cause === why, opened);
      else await opened.close();
      assert.equal(getEventListeners(abort.signal, "abort").length, 0);
    }
  }
});
