"use strict";

// However a program ends, it ends as it was told to: no crash, no hang, no word on stderr.
// PILLION_EXIT_RUNS says how often each is tried; 20 by default, and 500 before a release: `npm run exits`.

const assert = require("node:assert/strict");
const { test } = require("node:test");
const { run } = require("./support.js");

const RUNS = Number(process.env.PILLION_EXIT_RUNS ?? 20);
const TOGETHER = 4;

const STATES = {
  idle: {},
  "call-pending": {},
  "call-kept": {},
  "stream-half-read": {},
  "subscription-live": {},
  "exit-in-callback": {},
  exception: { code: 1, stderr: /^[^]*Error: as it was told to[^]*$/ },
  sigint: { code: null, signal: "SIGINT", onLine: (line, child) => line === "ready" && child.kill("SIGINT") },
  "worker-terminated": {},
  "worker-ends": {},
  "workers-many": {},
};

for (const [state, { code = 0, signal = null, stderr = /^$/, onLine }] of Object.entries(STATES)) {
  test(`a program ends well: ${state}`, async () => {
    for (let done = 0; done < RUNS; done += TOGETHER) {
      const batch = Array.from({ length: Math.min(TOGETHER, RUNS - done) }, () => run(`exit/${state}.mjs`, { onLine }));
      for (const ended of await Promise.all(batch)) {
        assert.deepEqual({ code: ended.code, signal: ended.signal }, { code, signal }, ended.stderr);
        assert.match(ended.stderr, stderr);
      }
    }
  });
}
