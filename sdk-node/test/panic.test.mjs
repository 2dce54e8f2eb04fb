// A panic in any function that the native half exports is a typed error, and the program goes on.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { InternalError, embedded } from "../lib/index.mjs";
import bridgeModule from "../lib/bridge.js";
import api from "../lib/api.js";
import shapes from "../lib/gen/shapes.js";

const { native, promise, bridge } = bridgeModule;

let p;
let handle;
let stream;
before(async () => {
  p = await embedded();
  handle = p[api.INSIDE].native;
  stream = handle.shapesConverse(undefined);
});
after(() => p.close());

/** Names of classes begin with a capital. */
const isClass = (name) => name !== name.toLowerCase() && name[0] === name[0].toUpperCase();

/** Everything that is exported: functions, classes, and the members of classes. */
function* exported() {
  for (const [name, value] of Object.entries(native)) {
    yield name;
    if (!isClass(name)) continue;
    for (const member of Object.getOwnPropertyNames(value.prototype)) if (member !== "constructor") yield `${name}.${member}`;
  }
}

/** How to call what takes more than any object. What is not here is called by its name alone. */
const CALLS = {
  Bridge: () => new native.Bridge(() => {}),
  "Bridge.cancel": () => bridge.cancel(0),
  embedded: () => native.embedded(bridge, undefined),
  connect: () => native.connect(bridge, "http://127.0.0.1:1", undefined),
  open: () => native.open(bridge),
  command: () => native.command(["pillion", "--version"]),
};

/** Classes without a constructor: what makes them is exported by itself. */
const NOT_MADE = new Set(["Handle", "Stream"]);
/** What makes the panics, and what has a test of its own. */
const ELSEWHERE = new Set(["panicNext", "Bridge.take"]);

function call(name) {
  if (name in CALLS) return CALLS[name]();
  const [owner, member] = name.split(".");
  assert.ok(member !== undefined, `${name} is exported and this test does not know how to call it`);
  return { Handle: handle, Stream: stream }[owner][member]({}, {});
}

const isPanic = (error) => error instanceof InternalError && error.reason === "runtime.panic" && error.outcome === "unknown";

test("a panic in any exported function is an InternalError", async (t) => {
  for (const name of exported()) {
    if (ELSEWHERE.has(name)) continue;
    if (NOT_MADE.has(name)) {
      assert.throws(() => new native[name](), /constructor/, name);
      continue;
    }
    await t.test(name, async () => {
      native.panicNext();
      await assert.rejects(promise(() => call(name)), isPanic);
      await p.state.set("after", name);
      assert.equal(await p.state.get("after"), name);
    });
  }
});

test("a panic in the making of one answer leaves the others alone", async () => {
  const shape = new shapes.ShapesApi(p);
  const calls = Array.from({ length: 8 }, () => shape.act("answer", { after: 5 }));
  native.panicNext();
  const ended = await Promise.allSettled(calls);
  const failed = ended.filter(({ status }) => status === "rejected");
  assert.equal(failed.length, 1);
  assert.ok(isPanic(failed[0].reason));
});

test("a panic where a signal is handled is the error of the call, not of the program", async () => {
  const shape = new shapes.ShapesApi(p);
  const abort = new AbortController();
  const pending = shape.act("answer", { after: 600_000, signal: abort.signal });
  native.panicNext();
  abort.abort();
  await assert.rejects(pending, isPanic);

  const watch = p.state.watch("nothing:");
  await watch.opened();
  native.panicNext();
  watch.close();
  await assert.rejects(watch.next(), isPanic);
  assert.deepEqual(await watch.next(), { done: true, value: undefined });
});
