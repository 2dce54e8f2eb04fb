"use strict";

// For tests of programs: a runtime in the test's process whose clock moves and whose components fail on demand.

const { embedded } = require("./pillion.js");
const { TestingApi } = require("./gen/testing.js");

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds, given as such or as `"10m"`. */
function millis(time) {
  if (typeof time === "number") return time;
  const parts = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(time);
  if (parts === null) throw new TypeError(`${JSON.stringify(time)} is no time: give milliseconds, or "10s", "5m", "2h"`);
  return Number(parts[1]) * UNITS[parts[2]];
}

async function testing(options) {
  const p = await embedded({ ...options, testing: true });
  const kit = new TestingApi(p);
  return Object.assign(p, {
    clock: { advance: async (by) => void (await kit.advanceClock(millis(by))) },
    fail: async (block, fault) => void (await kit.fail(block, fault)),
    reset: async () => void (await kit.reset()),
  });
}

exports.testing = testing;
