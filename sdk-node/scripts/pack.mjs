// Packs what is published: the main package, and that of this platform around a native half that was built before.
// usage: node scripts/pack.mjs LIBRARY FOLDER. It prints the two files.

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { platform } = require("../lib/platform.js");
const main = require("../package.json");

const [library, folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error("usage: node scripts/pack.mjs LIBRARY FOLDER");
  process.exit(2);
}
mkdirSync(folder, { recursive: true });

function pack(from) {
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", resolve(folder)];
  const [{ filename }] = JSON.parse(execFileSync("npm", args, { cwd: from, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
  return join(resolve(folder), filename);
}

function platformPackage() {
  const name = platform();
  const [os, cpu, libc] = name.split("-");
  const file = `pillion.${name}.node`;
  const staging = mkdtempSync(join(tmpdir(), "pillion-pack-"));
  copyFileSync(library, join(staging, file));
  copyFileSync(join(root, "../LICENSE"), join(staging, "LICENSE"));
  const manifest = {
    name: `@pillion/${name}`,
    version: main.version,
    description: `The native half of pillion for ${name}`,
    license: main.license,
    repository: main.repository,
    main: file,
    files: [file],
    os: [os],
    cpu: [cpu],
    ...(libc && { libc: [libc === "gnu" ? "glibc" : libc] }),
    engines: main.engines,
  };
  writeFileSync(join(staging, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  return pack(staging);
}

console.log(pack(root));
console.log(platformPackage());
