"use strict";

// Against a sidecar: the same calls, and what happens when it goes away.

const assert = require("node:assert/strict");
const { test } = require("node:test");
const { connect, open } = require("../lib/index.js");
const { Sidecar } = require("./support.js");

test("a sidecar is used, lost, and used again", async () => {
  const sidecar = await Sidecar.start();
  const p = await connect(sidecar.url);
  try {
    await p.waitReady();
    await p.state.set("a", { x: 1 });
    assert.deepEqual(await p.state.get("a"), { x: 1 });

    const stream = p.apis.state.watch("");
    assert.equal((await stream.next()).value.event.case, "written");
    assert.equal((await stream.next()).value.event.case, "synced");
    // As in every language: what a watch asked for was read only, so nothing can have come of it.
    const lost = { category: "unavailable", reason: "runtime.connection_lost", outcome: "rejected", retryable: true };
    const reading = assert.rejects(stream.next(), lost);
    await sidecar.kill();
    await reading;
    const away = { category: "unavailable", reason: "runtime.unreachable", outcome: "rejected", retryable: true };
    await assert.rejects(p.state.get("a"), away);
    await assert.rejects(p.state.set("a", 2), away);

    await sidecar.restart();
    await p.waitReady();
    assert.equal(await p.state.get("a"), undefined);
  } finally {
    await p.close();
    await sidecar.kill();
  }
});

test("a watch of the handle outlives its sidecar", async () => {
  const sidecar = await Sidecar.start();
  const p = await connect(sidecar.url);
  try {
    const watch = p.state.watch("w:");
    assert.equal((await watch.next()).value.type, "synced");
    const next = watch.next();
    await sidecar.kill();
    await sidecar.restart();
    assert.equal((await next).value.type, "resync");
    assert.equal((await watch.next()).value.type, "synced");
    watch.close();
  } finally {
    await p.close();
    await sidecar.kill();
  }
});

test("a stream that is not read on does not fill the memory", async () => {
  const MIB = 1 << 20;
  const ENTRIES = 56;
  const sidecar = await Sidecar.start();
  const p = await connect(sidecar.url);
  try {
    for (let entry = 0; entry < ENTRIES; entry += 1) await p.state.set(`large:${entry}`, Buffer.alloc(MIB, entry));
    const watch = p.state.watch("large:");
    const before = process.memoryUsage.rss();
    await watch.next();
    // As long as it takes to send a lot more than is let through, if nothing held it back.
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setTimeout(resolve, 10));
    const grown = process.memoryUsage.rss() - before;
    assert.ok(grown < (ENTRIES / 2) * MIB, `it grew by ${Math.round(grown / MIB)} MiB of ${ENTRIES}`);
    let read = 1;
    for await (const { type } of watch) {
      if (type === "synced") break;
      read += 1;
    }
    assert.equal(read, ENTRIES);
  } finally {
    await p.close();
    await sidecar.kill();
  }
});

test("a signal of the terminal ends the command well", async () => {
  const sidecar = await Sidecar.start();
  assert.deepEqual(await sidecar.kill("SIGTERM"), { code: 0, by: null });
});

test("`open` takes the sidecar that the environment names", async () => {
  const sidecar = await Sidecar.start();
  process.env.PILLION_ENDPOINT = sidecar.url;
  const p = await open();
  try {
    assert.equal((await p.status()).mode, "dev");
  } finally {
    delete process.env.PILLION_ENDPOINT;
    await p.close();
    await sidecar.kill();
  }
});
