"use strict";

// What is packed works in an empty folder, with no registry in reach and no cargo.

const assert = require("node:assert/strict");
const { execFileSync, spawnSync } = require("node:child_process");
const { existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { before, test } = require("node:test");
const { ROOT } = require("./support.js");
const { platform } = require("../lib/platform.js");

const LIBRARY = process.env.PILLION_ADDON ?? join(ROOT, `pillion.${platform()}.node`);

let packed;
let tools;
before(() => {
  const folder = mkdtempSync(join(tmpdir(), "pillion-packed-"));
  packed = execFileSync(process.execPath, [join(ROOT, "scripts/pack.mjs"), LIBRARY, folder], { encoding: "utf8" }).trim().split("\n");
  // Node and npm, and nothing else of this machine: above all no cargo.
  tools = join(folder, "bin");
  mkdirSync(tools);
  const npm = execFileSync("sh", ["-c", "command -v npm"], { encoding: "utf8" }).trim();
  for (const [name, file] of [["node", process.execPath], ["npm", npm], ["sh", "/bin/sh"], ["env", "/usr/bin/env"]]) {
    symlinkSync(file, join(tools, name));
  }
});

/** An empty folder, and how programs run in it. */
function empty() {
  const folder = mkdtempSync(join(tmpdir(), "pillion-fresh-"));
  writeFileSync(join(folder, "package.json"), "{}");
  const env = { HOME: folder, PATH: tools, npm_config_registry: "http://127.0.0.1:9/", npm_config_fetch_retries: "0", RUST_BACKTRACE: "0" };
  const run = (program, ...args) => spawnSync(join(tools, program), args, { cwd: folder, env, encoding: "utf8" });
  return { folder, run };
}

const SNIPPET = /```js\n([^]*?)```/.exec(readFileSync(join(ROOT, "README.md"), "utf8"))[1];

test("the tarballs install and run without registry and cargo", () => {
  const { folder, run } = empty();
  const installed = run("npm", "install", "--no-audit", "--no-fund", ...packed);
  assert.equal(installed.status, 0, installed.stderr);
  writeFileSync(join(folder, "app.mjs"), SNIPPET);
  writeFileSync(join(folder, "app.cjs"), SNIPPET.replace(/import (.*) from (.*);/, "const $1 = require($2);\n(async () => {").concat("})();"));
  for (const app of ["app.mjs", "app.cjs"]) {
    const { status, stdout, stderr } = run("node", app);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /\{ items: 3 \}/);
  }
  const { stdout } = run("node", "node_modules/.bin/pillion", "--version");
  assert.match(stdout, /^pillion \d+\.\d+\.\d+/);
  assert.ok(!existsSync(join(folder, "node_modules/pillion/lib/gen/shapes.js")), "the service of our own tests is packed");
});

test("without the platform package the installation says what is missing and what to do", () => {
  const { folder, run } = empty();
  const installed = run("npm", "install", "--no-audit", "--no-fund", "--omit=optional", "--foreground-scripts", packed[0]);
  assert.notEqual(installed.status, 0);
  const said = installed.stdout + installed.stderr;
  assert.match(said, new RegExp(`the package @pillion/${platform()} is not installed`));
  assert.match(said, new RegExp(`npm install @pillion/${platform()}@`));
  assert.ok(!existsSync(join(folder, "node_modules/pillion/pillion.node")));
});

test("without the native half the error names the package and the command", () => {
  const { run } = empty();
  run("npm", "install", "--no-audit", "--no-fund", "--omit=optional", "--ignore-scripts", packed[0]);
  const { status, stderr } = run("node", "-e", "require('pillion')");
  assert.equal(status, 1);
  assert.match(stderr, new RegExp(`npm install @pillion/${platform()}@\\d`));
});
