"use strict";

// What is packed works in an empty folder, with no registry in reach and no cargo; and each way in which the
// installer finds the native half, or does not.

const assert = require("node:assert/strict");
const { execFileSync, spawnSync } = require("node:child_process");
const { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { before, test } = require("node:test");
const { ROOT, temporary } = require("./support.js");
const { platform } = require("../lib/platform.js");

const LIBRARY = process.env.PILLION_ADDON ?? join(ROOT, `pillion.${platform()}.node`);

const BESIDE = `pillion.${platform()}.node`;
const CARGO_BUILDS = { darwin: "libpillion_node.dylib", win32: "pillion_node.dll" }[process.platform] ?? "libpillion_node.so";
const SNIPPET = /```js\n([^]*?)```/.exec(readFileSync(join(ROOT, "README.md"), "utf8"))[1];

let packed;
let tools;
before(() => {
  const folder = temporary("packed");
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
function empty({ path = tools } = {}) {
  const folder = temporary("empty");
  writeFileSync(join(folder, "package.json"), "{}");
  const env = { HOME: folder, PATH: path, npm_config_registry: "http://127.0.0.1:9/", npm_config_fetch_retries: "0", RUST_BACKTRACE: "0" };
  const run = (program, ...args) => spawnSync(join(tools, program), args, { cwd: folder, env, encoding: "utf8" });
  const install = (...args) => run("npm", "install", "--no-audit", "--no-fund", "--foreground-scripts", ...args);
  return { folder, run, install };
}

/** Runs the first program of the README there, as each kind of module. */
function runsSnippet({ folder, run }) {
  writeFileSync(join(folder, "app.mjs"), SNIPPET);
  writeFileSync(join(folder, "app.cjs"), SNIPPET.replace(/import (.*) from (.*);/, "const $1 = require($2);\n(async () => {").concat("})();"));
  for (const app of ["app.mjs", "app.cjs"]) {
    const { status, stdout, stderr } = run("node", app);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /\{ items: 3 \}/);
  }
}

test("the tarballs install and run without registry and cargo", () => {
  const place = empty();
  const installed = place.install(...packed);
  assert.equal(installed.status, 0, installed.stderr);
  runsSnippet(place);
  const { stdout } = place.run("node", "node_modules/.bin/pillion", "--version");
  assert.match(stdout, /^pillion \d+\.\d+\.\d+/);
  assert.ok(!existsSync(join(place.folder, "node_modules/pillion/lib/gen/shapes.js")), "the service of our own tests is packed");
});

test("the main package asks for those of the platforms, and the tree does not", () => {
  const place = empty();
  place.install("--ignore-scripts", ...packed);
  const manifest = JSON.parse(readFileSync(join(place.folder, "node_modules/pillion/package.json"), "utf8"));
  assert.deepEqual(manifest.optionalDependencies, { [`@pillion/${platform()}`]: manifest.version });
  const tree = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  assert.equal(tree.optionalDependencies, undefined);
});

test("without the platform package the installation says what is missing and what to do", () => {
  const { folder, install } = empty();
  const installed = install("--omit=optional", packed[0]);
  assert.notEqual(installed.status, 0);
  const said = installed.stdout + installed.stderr;
  assert.match(said, new RegExp(`the package @pillion/${platform()} is not installed`));
  assert.match(said, new RegExp(`npm install @pillion/${platform()}@`));
  assert.ok(!existsSync(join(folder, "node_modules/pillion", BESIDE)));
});

test("without the native half the error names the package and the command", () => {
  const { run, install } = empty();
  install("--omit=optional", "--ignore-scripts", packed[0]);
  const { status, stderr } = run("node", "-e", "require('pillion')");
  assert.equal(status, 1);
  assert.match(stderr, new RegExp(`npm install @pillion/${platform()}@\\d`));
});

test("a native half beside the package is taken", () => {
  const place = empty();
  place.install("--omit=optional", "--ignore-scripts", packed[0]);
  copyFileSync(LIBRARY, join(place.folder, "node_modules/pillion", BESIDE));
  const installed = place.run("npm", "rebuild", "--foreground-scripts", "pillion");
  assert.equal(installed.status, 0, installed.stderr);
  runsSnippet(place);
});

/** The package as it is in the repository, and a path on which cargo is this script. */
function repository(cargo) {
  const folder = temporary("tree");
  const tree = join(folder, "sdk-node");
  for (const part of ["bin", "lib", "scripts", "package.json", "Cargo.toml"]) cpSync(join(ROOT, part), join(tree, part), { recursive: true });
  writeFileSync(join(tools, "cargo"), `#!/bin/sh\n${cargo}\n`);
  chmodSync(join(tools, "cargo"), 0o755);
  return tree;
}

test("in the repository cargo builds the native half", () => {
  const built = join(temporary("built"), CARGO_BUILDS);
  symlinkSync(LIBRARY, built);
  const tree = repository(`echo '${JSON.stringify({ filenames: [built] })}'; echo "$@" > arguments`);
  const place = empty();
  const installed = place.install(tree);
  assert.equal(installed.status, 0, installed.stderr);
  assert.match(readFileSync(join(tree, "arguments"), "utf8"), /^build .*-p pillion-node/);
  assert.ok(existsSync(join(tree, BESIDE)));
  runsSnippet(place);
});

test("in the repository the installation says why cargo did not build it", () => {
  const failing = empty().install(repository("exit 101"));
  assert.notEqual(failing.status, 0);
  assert.match(failing.stdout + failing.stderr, /cargo could not build it; its messages are above/);
  const tree = repository("");
  rmSync(join(tools, "cargo"));
  const missing = empty().install(tree);
  assert.notEqual(missing.status, 0);
  assert.match(missing.stdout + missing.stderr, /there is no cargo to build it/);
});
