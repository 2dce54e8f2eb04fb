// Every snippet of the README runs, in both modes, and prints what its comments say.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import support from "./support.js";

const { ROOT, Sidecar, temporary } = support;
const text = readFileSync(join(ROOT, "README.md"), "utf8");
const snippets = [...text.matchAll(/```js\n([^]*?)```/g)].map(([, code]) => code);
const programs = snippets.filter((code) => !code.includes("vitest"));

let folder;
let sidecar;
before(async () => {
  folder = temporary("readme");
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(ROOT, join(folder, "node_modules/pillion"));
  // As where a program of its own has it.
  symlinkSync(join(ROOT, "node_modules/vitest"), join(folder, "node_modules/vitest"));
  sidecar = await Sidecar.start();
});
after(() => sidecar.kill());

function runs(command, args, env = {}) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  assert.equal(status, 0, stderr + stdout);
  return stdout;
}

/** What the comments behind `console.log` promise. */
function promised(code) {
  return [...code.matchAll(/console\.log\(.*\);? \/\/ (.*)$/gm)].map(([, line]) => line.split(",")[0]);
}

for (const [index, code] of programs.entries()) {
  for (const mode of ["embedded", "sidecar"]) {
    test(`snippet ${index + 1} runs: ${mode}`, () => {
      const file = join(folder, `snippet-${index}.mjs`);
      writeFileSync(file, code);
      const stdout = runs(process.execPath, [file], mode === "sidecar" ? { PILLION_ENDPOINT: sidecar.url } : {});
      for (const line of promised(code)) assert.ok(stdout.includes(line), `${line} is not in:\n${stdout}`);
    });
  }
}

test("the tests of the README pass", () => {
  const code = snippets.find((snippet) => snippet.includes("pillion/vitest"));
  writeFileSync(join(folder, "readme.test.mjs"), code);
  const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
  const stdout = runs(process.execPath, [vitest, "run", "--root", folder, "readme.test.mjs"], { NO_COLOR: "1" });
  assert.match(stdout, /2 passed/);
});

test("`npx pillion dev` runs the program of the README beside a sidecar", () => {
  writeFileSync(join(folder, "app.mjs"), programs[0]);
  const stdout = runs(process.execPath, [join(ROOT, "bin/pillion.js"), "dev", "--port", "0", "--", process.execPath, "app.mjs"]);
  assert.match(stdout, /\{ items: 3 \}/);
});

test("the example shows what it wrote: embedded", () => {
  const stdout = runs(process.execPath, [join(ROOT, "example/demo.mjs"), "embedded"]);
  assert.match(stdout, /^node: greeting:node = \{"from":"node","mode":"embedded"\} \(etag .+\)\n$/);
});

test("the example shows what everybody wrote: sidecar", () => {
  const stdout = runs(process.execPath, [join(ROOT, "example/demo.mjs"), sidecar.url]);
  assert.match(stdout, /^node: greeting:node = \{"from":"node","mode":"sidecar"\} \(etag .+\)$/m);
});
