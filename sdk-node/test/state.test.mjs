// The handles of programs: values, conditions, iterators.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ConflictError, ExistsError, InvalidError, NotFoundError, PillionError, connect, embedded } from "../lib/index.mjs";
import support from "./support.js";

async function using(body) {
  const p = await embedded();
  try {
    await body(p);
  } finally {
    await p.close();
  }
}

test("values come back as what they were", () =>
  using(async (p) => {
    const values = { object: { items: [1, "two", null] }, text: "три", bytes: Buffer.from([0, 255]), number: 1.5, no: false };
    for (const [key, value] of Object.entries(values)) {
      await p.state.set(key, value);
      assert.deepEqual(await p.state.get(key), value);
    }
    assert.equal(await p.state.get("missing"), undefined);
    assert.deepEqual(await p.state.get("text", { as: "bytes" }), Buffer.from("три"));
  }));

test("a value is not read as what it is not", () =>
  using(async (p) => {
    await p.state.set("text", "no JSON");
    const wrong = p.state.get("text", { as: "json" });
    await assert.rejects(wrong, { reason: "value.content_type_mismatch", metadata: { key: "text", content_type: "text/plain; charset=utf-8" } });
    await p.state.set("broken", "{", { contentType: "application/json" });
    await assert.rejects(p.state.get("broken"), { reason: "value.malformed" });
    await assert.rejects(p.state.set("none", undefined), { reason: "value.malformed" });
    await assert.rejects(p.state.set("circle", circle()), InvalidError);
  }));

function circle() {
  const object = {};
  object.self = object;
  return object;
}

test("bytes are copied when they are given", () =>
  using(async (p) => {
    const bytes = Buffer.from("before");
    const written = p.state.set("a", bytes);
    bytes.write("after!");
    await written;
    assert.equal((await p.state.get("a")).toString(), "before");
  }));

test("large values come back whole", () =>
  using(async (p) => {
    const bytes = Buffer.alloc(1 << 20, 7);
    await p.state.set("large", bytes);
    assert.ok(bytes.equals(await p.state.get("large")));
  }));

test("conditions hold, and their errors are of the right class", () =>
  using(async (p) => {
    const { etag } = await p.state.set("a", 1, { ifAbsent: true });
    await assert.rejects(p.state.set("a", 2, { ifAbsent: true }), ExistsError);
    await p.state.set("a", 2, { ifMatch: etag });
    const error = await p.state.set("a", 3, { ifMatch: etag }).catch((raised) => raised);
    assert.ok(error instanceof ConflictError && error instanceof PillionError && error instanceof Error);
    assert.ok(!(error instanceof NotFoundError));
    assert.equal(error.name, "ConflictError");
    assert.equal(error.code, "state.etag_mismatch");
    assert.equal(error.category, "conflict");
    assert.equal(error.outcome, "rejected");
    assert.equal(error.component, "state");
    assert.equal(error.retryable, false);
    assert.ok(error.advice !== "" && error.message !== "");
    assert.equal(await p.state.delete("a"), true);
    assert.equal(await p.state.delete("a"), false);
  }));

test("an entry has etag, content type and time to live", () =>
  using(async (p) => {
    const { etag } = await p.state.set("a", { x: 1 }, { ttl: 3_600_000 });
    const { expiresIn, ...entry } = await p.state.getEntry("a");
    assert.deepEqual(entry, { key: "a", value: { x: 1 }, etag, contentType: "application/json" });
    assert.ok(expiresIn > 0 && expiresIn <= 3_600_000);
  }));

test("many are read at once, and lists span pages", () =>
  using(async (p) => {
    for (let i = 0; i < 25; i += 1) await p.state.set(`k:${String(i).padStart(2, "0")}`, i);
    const found = await p.state.getMany(["k:03", "missing", "k:24"]);
    assert.deepEqual([...found], [["k:03", 3], ["k:24", 24]]);
    const values = [];
    for await (const entry of p.state.list("k:", { pageSize: 10 })) values.push(entry.value);
    assert.deepEqual(values, Array.from({ length: 25 }, (_, i) => i));
    const keys = [];
    for await (const key of p.state.keys("k:0")) keys.push(key);
    assert.equal(keys.length, 10);
  }));

test("an item that fails throws its own error", () =>
  using(async (p) => {
    await assert.rejects(p.state.getMany(["good", "bad||key"]), { reason: "state.key_invalid" });
    const { results } = await p.apis.state.getMany(["good", "bad||key"]);
    assert.ok(results[1].error instanceof InvalidError);
  }));

test("a watch tells what there is and what changes", () =>
  using(async (p) => {
    await p.state.set("w:1", "a");
    const watch = p.state.watch("w:");
    const seen = [];
    for await (const change of watch) {
      seen.push(change.type);
      if (change.type === "synced") await p.state.delete("w:1");
      if (change.type === "deleted") break;
    }
    assert.deepEqual(seen, ["written", "synced", "deleted"]);
    assert.deepEqual(await watch.next(), { done: true, value: undefined });
  }));

test("a store that is not declared says so at its first call", () =>
  using(async (p) => {
    await assert.rejects(p.state.store("orders").get("a"), (error) => error instanceof PillionError && error.message.includes("orders"));
  }));

test("two runtimes in one process share nothing", () =>
  using(async (one) =>
    using(async (two) => {
      await one.state.set("a", 1);
      assert.equal(await two.state.get("a"), undefined);
      await two.close();
      assert.equal(await one.state.get("a"), 1);
    }),
  ));

test("a closed handle says so, and closing again does nothing", async () => {
  const p = await embedded();
  const waiting = p.state.watch().next().then(() => waiting.next?.());
  await p.close();
  await p.close();
  await waiting;
  await assert.rejects(p.state.get("a"), { reason: "runtime.closed" });
  await p[Symbol.asyncDispose]();
});

test("data in a folder is there again", async () => {
  const dataDir = support.temporary("data");
  for (const expected of [undefined, 1, 1]) {
    const p = await embedded({ dataDir });
    assert.equal(await p.state.get("a"), expected);
    await p.state.set("a", 1);
    await p.close();
  }
  await assert.rejects(embedded({ dataDir, configFile: "x" }), InvalidError);
});

test("what cannot be opened says why", async () => {
  await assert.rejects(connect(5), (error) => error.message === "`url` must be a string, but is a number");
  await assert.rejects(connect("localhost"), InvalidError);
  await assert.rejects(embedded({ configFile: "/nowhere.yaml" }), PillionError);
  const p = await connect("http://127.0.0.1:1");
  await assert.rejects(p.waitReady({ timeoutMs: 1 }), PillionError);
  await assert.rejects(p.waitReady({ timeoutMs: -1 }), { reason: "request.invalid" });
  await p.close();
});

test("options of a handle go with its calls", () =>
  using(async (p) => {
    const hurried = p.with({ timeoutMs: 0 });
    await assert.rejects(hurried.state.get("a"), { category: "deadline" });
    await hurried.apis.state.get("a", { timeoutMs: 10_000 });
    await assert.rejects(p.apis.state.get("a", { timeoutMs: -1 }), { reason: "request.invalid" });
  }));

test("what is misspelt is refused, never left out", () =>
  using(async (p) => {
    const refused = (message) => (error) => {
      assert.match(error.message, message);
      return error instanceof InvalidError && error.outcome === "rejected";
    };
    const none = (name) => refused(new RegExp(`^\`${name}\` is no option here; there are \``));
    await assert.rejects(embedded({ datadir: "./data" }), none("datadir"));
    await assert.rejects(connect("http://127.0.0.1:1", { retry: 1 }), none("retry"));
    await assert.rejects(p.state.set("a", 1, { tll: 5 }), none("tll"));
    await assert.rejects(p.state.set("a", 1, { store: "orders" }), none("store"));
    await assert.rejects(p.state.get("a", { condition: undefined }), none("condition"));
    await assert.rejects(p.state.list("", { pagesize: 5 }).next(), none("pagesize"));
    await assert.rejects(p.apis.state.get("a", { key: "b" }), none("key"));
    await assert.rejects(p.apis.state.watch("a", { after: 5n }).next(), none("after"));
    await assert.rejects(p.waitReady({ timeout: 5 }), none("timeout"));
    assert.throws(() => p.with({ timeout: 5 }), none("timeout"));
    await assert.rejects(p.state.get("a", "json"), refused(/^options must be an object, but are a string$/));
    await assert.rejects(p.state.get("a", { signal: new AbortController() }), refused(/must be an AbortSignal/));
    await assert.rejects(p.state.getMany("abc"), refused(/^`keys` must be a list of strings, but is a string$/));
    await p.state.set("a", 1);
    await assert.rejects(p.state.get("a", { as: "jsn" }), refused(/^`as` is "jsn", and must be one of/));
    await assert.rejects(p.state.set("a", new Map([["x", 1]])), refused(/Object\.fromEntries/));
    assert.equal(await p.state.get("a"), 1);
  }));
