// The generated layer: every kind of field, every shape of call, cancelling, and back-pressure.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CancelledError, InternalError, InvalidError, embedded } from "../lib/index.mjs";
import shapes from "../lib/gen/shapes.js";

let p;
let api;
before(async () => {
  p = await embedded();
  api = new shapes.ShapesApi(p);
});
after(() => p.close());

/** Waits until `holds`, however long it takes; the runner has the last word. */
async function eventually(holds) {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** The counts once the calls of the tests before have ended where they run. */
async function quiet() {
  await eventually(async () => (await api.count()).open === 0n);
  return api.count();
}

test("every kind of field comes back", async () => {
  const kinds = {
    doubleValue: -1.5,
    int32Value: -(2 ** 31),
    int64Value: -(2n ** 63n),
    uint32Value: 2 ** 32 - 1,
    uint64Value: 2n ** 64n - 1n,
    boolValue: true,
    stringValue: "три",
    bytesValue: Buffer.from([1, 2]),
    color: "green",
    optionalString: "",
    optionalUint64: 0n,
    nested: { name: "a", inner: { name: "b" } },
    strings: ["x", ""],
    colors: ["red", 77],
    blobs: [Buffer.from([9])],
    labels: { a: "b", constructor: "c" },
    children: { x: { name: "y" } },
    numbers: { "-1": 5n },
    at: new Date(1234567890123),
    lasts: 1500.000001,
    choice: { case: "node", value: { name: "n" } },
  };
  const { kinds: echoed } = await api.echo(kinds);
  for (const [name, value] of Object.entries(kinds)) assert.deepEqual(echoed[name], value, name);
  assert.equal((await api.echo({})).kinds.choice, undefined);
  assert.equal((await api.echo()).kinds, undefined);
});

test("`__proto__` is a key like any other", async () => {
  const labels = Object.defineProperty({}, "__proto__", { value: "x", enumerable: true });
  const { kinds } = await api.echo({ labels });
  assert.deepEqual(Object.entries(kinds.labels), [["__proto__", "x"]]);
  assert.equal(Object.getPrototypeOf(kinds.labels), Object.prototype);
});

test("nanoseconds of a moment are kept", async () => {
  const at = Object.assign(new Date(5), { nanoseconds: 678901 });
  const { kinds } = await api.echo({ at });
  assert.equal(kinds.at.getTime(), 5);
  assert.equal(kinds.at.nanoseconds, 678901);
});

test("numbers do for 64-bit fields as long as they are exact", async () => {
  assert.equal((await api.echo({ uint64Value: 7 })).kinds.uint64Value, 7n);
  for (const wrong of [1.5, -1, 2 ** 53, 2n ** 64n, "7"]) {
    await assert.rejects(api.echo({ uint64Value: wrong }), (error) => error.message.includes("`kinds.uint64Value` must be"));
  }
});

test("what is of the wrong type is named", async () => {
  const wrong = [
    [{ nesteds: [{}, { name: 5 }] }, "`kinds.nesteds[1].name` must be a string, but is a number"],
    [{ color: "blue" }, '`kinds.color` is "blue", and must be one of "unspecified", "red", "green"'],
    [{ choice: { case: "none" } }, '`kinds.choice.case` cannot be "none"'],
    [{ at: new Date(NaN) }, "`kinds.at` is an invalid Date"],
    [{ children: { a: 1 } }, '`kinds.children["a"]` must be an object, but is a number'],
    [5, "`kinds` must be an object, but is a number"],
  ];
  for (const [kinds, message] of wrong) {
    await assert.rejects(api.echo(kinds), (error) => {
      assert.equal(error.message, message);
      return error instanceof InvalidError && error.outcome === "rejected";
    });
  }
});

test("an upload is answered, from a generator and from an array", async () => {
  async function* parts() {
    for (let i = 0; i < 100; i += 1) yield { part: { case: "chunk", value: Buffer.alloc(10) } };
    yield { part: { case: "total", value: 1000 } };
  }
  assert.deepEqual(await api.collect(parts()), { received: 1000n });
  assert.deepEqual(await api.collect([{ part: { case: "total", value: 0n } }]), { received: 0n });
});

test("an upload whose source fails never looks finished", async () => {
  const { uploads } = await quiet();
  const failure = new Error("the disk is gone");
  async function* parts() {
    yield { part: { case: "chunk", value: Buffer.from("x") } };
    throw failure;
  }
  await assert.rejects(api.collect(parts()), (error) => error instanceof CancelledError && error.cause === failure);
  assert.equal((await api.count()).uploads, uploads);
});

test("a source that is not wanted any more is ended", async () => {
  let ended = false;
  async function* parts() {
    try {
      for (;;) yield { part: { case: "total", value: 5 } };
    } finally {
      ended = true;
    }
  }
  await assert.rejects(api.collect(parts()), { reason: "request.invalid" });
  await eventually(() => ended);
});

test("a conversation goes both ways", async () => {
  const heard = [];
  async function* say() {
    yield { text: "a" };
    await eventually(() => heard.length === 1);
    yield { text: "b" };
  }
  for await (const { text } of api.converse(say())) heard.push(text);
  assert.deepEqual(heard, ["A", "B"]);
});

test("a slow reader slows the sender down", async () => {
  let sent = 0;
  async function* say() {
    for (;;) yield { text: String((sent += 1)) };
  }
  const talk = api.converse(say());
  await talk.next();
  for (let i = 0; i < 200; i += 1) await new Promise((resolve) => setImmediate(resolve));
  const unread = sent;
  assert.ok(unread < 200, `${unread} were sent and one was read`);
  talk.close();
});

test("a signal cancels a call, which is dropped where it runs", async () => {
  const { dropped } = await quiet();
  const abort = new AbortController();
  const call = api.act("answer", { after: 600_000, signal: abort.signal });
  await eventually(async () => (await api.count()).open > 0n);
  abort.abort(new Error("enough"));
  await assert.rejects(call, (error) => error instanceof CancelledError && error.outcome === "unknown" && error.cause.message === "enough");
  await eventually(async () => (await api.count()).dropped === dropped + 1n);
});

test("a signal that came before is a call that never was", async () => {
  const { succeeded } = await quiet();
  await assert.rejects(api.echo({}, { signal: AbortSignal.abort() }), { reason: "request.cancelled", outcome: "rejected" });
  // The count itself succeeded meanwhile, once.
  assert.ok((await api.count()).succeeded - succeeded <= 1n);
});

test("a signal ends a stream, and only its own", async () => {
  const abort = new AbortController();
  const stream = api.expand(1, { then: "hang", signal: abort.signal });
  await stream.next();
  const waiting = stream.next();
  abort.abort();
  await assert.rejects(waiting, CancelledError);
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
});

test("leaving the loop ends the call", async () => {
  const { dropped } = await quiet();
  for await (const { index } of api.expand(1000, { every: 1 })) if (index === 2) break;
  await eventually(async () => (await api.count()).dropped === dropped + 1n);
});

test("a stream ends at its first error", async () => {
  const seen = [];
  const read = async () => {
    for await (const { index } of api.expand(2, { then: "fail_and_go_on" })) seen.push(index);
  };
  await assert.rejects(read(), { reason: "state.etag_mismatch" });
  assert.deepEqual(seen, [0, 1]);
});

test("closing wakes who waits", async () => {
  const stream = api.expand(0, { then: "hang" });
  const waiting = stream.next();
  stream.close();
  assert.deepEqual(await waiting, { done: true, value: undefined });
});

test("a deadline is kept", async () => {
  await assert.rejects(api.act("answer", { after: 600_000, timeoutMs: 20 }), { category: "deadline" });
});

test("calls that are answered at once do not starve the event loop", async () => {
  let ticked = false;
  setImmediate(() => (ticked = true));
  for (let i = 0; i < 200 && !ticked; i += 1) await api.echo({});
  assert.ok(ticked);
});

test("a panic in a call is an error of it", async () => {
  await assert.rejects(api.act("panic"), (error) => error instanceof InternalError && error.reason === "runtime.panic");
  await api.echo({});
});
