// One implementation, whichever way it is loaded.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import * as esm from "../lib/index.mjs";

const require = createRequire(import.meta.url);
const cjs = require("../lib/index.js");

test("`import` and `require` give the same", () => {
  assert.deepEqual(Object.keys(esm).toSorted(), Object.keys(cjs).toSorted());
  for (const name of Object.keys(cjs)) assert.equal(esm[name], cjs[name], name);
});

test("errors of another copy of the package are known", async () => {
  for (const file of Object.keys(require.cache)) if (file.includes("/lib/") && !file.endsWith(".node")) delete require.cache[file];
  const other = require("../lib/index.js");
  assert.notEqual(other.ConflictError, esm.ConflictError);
  const p = await other.embedded();
  await p.state.set("a", 1);
  const error = await p.state.set("a", 1, { ifAbsent: true }).catch((raised) => raised);
  assert.ok(error instanceof esm.ExistsError && error instanceof esm.PillionError);
  assert.ok(!(error instanceof esm.ConflictError));
  class Own extends esm.ExistsError {}
  assert.ok(!(error instanceof Own));
  await p.close();
});

test("loading the package keeps nothing alive and starts no thread", async () => {
  if (process.platform !== "linux") return;
  const { run } = require("./support.js");
  const { code, stdout } = await run("fixture/threads.mjs");
  const [before, after] = JSON.parse(stdout);
  assert.equal(code, 0);
  assert.equal(after, before);
});
