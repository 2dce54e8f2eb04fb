"use strict";

// What is forgotten is gone: memory stays flat, and no call stays open.

const assert = require("node:assert/strict");
const { test } = require("node:test");
const { run } = require("./support.js");

const MIB = 1 << 20;

for (const [kind, count, slack] of [
  ["handle", 100_000, 16],
  ["stream", 100_000, 16],
  ["watch", 10_000, 16],
  ["runtime", 500, 16],
]) {
  test(`memory is flat over ${count} of kind ${kind}`, async () => {
    const { code, stdout, stderr } = await run("fixture/garbage.mjs", { args: [kind, String(count)], flags: ["--expose-gc"] });
    assert.equal(code, 0, stderr);
    const { sizes, open } = JSON.parse(stdout);
    assert.equal(open, 0);
    // The first rounds fill caches and arenas.
    const grown = sizes.at(-1) - sizes[4];
    assert.ok(grown < slack * MIB, `it grew by ${Math.round(grown / MIB)} MiB: ${sizes}`);
  });
}
