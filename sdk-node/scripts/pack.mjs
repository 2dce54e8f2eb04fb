// Packs what is published: the main package, and that of this platform around a native half that was built before.
// usage: node scripts/pack.mjs LIBRARY FOLDER [PLATFORM...]. It prints the two files. The platforms are those that
// the main package asks npm for; without any it is that of this machine.

import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { platform } = require("../lib/platform.js");
const main = require("../package.json");

const [library, folder, ...platforms] = process.argv.slice(2);
if (folder === undefined) {
  console.error("usage: node scripts/pack.mjs LIBRARY FOLDER [PLATFORM...]");
  process.exit(2);
}
mkdirSync(folder, { recursive: true });

/** Packs a folder of these files, which are given with where they come from, and this manifest. */
function pack(files, manifest) {
  const staging = mkdtempSync(join(tmpdir(), "pillion-pack-"));
  try {
    for (const [file, from] of Object.entries(files)) cpSync(from, join(staging, file), { recursive: true });
    copyFileSync(join(root, "../LICENSE"), join(staging, "LICENSE"));
    writeFileSync(join(staging, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", resolve(folder)];
    const said = execFileSync("npm", args, { cwd: staging, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return join(resolve(folder), JSON.parse(said)[0].filename);
  } finally {
    rmSync(staging, { recursive: true });
  }
}

/**
 * The main package. Only here it asks for those of the platforms: where nothing is published yet, a tree that asked
 * for them could be neither locked nor installed.
 */
function mainPackage() {
  const files = Object.fromEntries(["bin", "lib", "scripts", "README.md"].map((file) => [file, join(root, file)]));
  const { devDependencies: _, scripts, ...manifest } = main;
  const wanted = platforms.length > 0 ? platforms : [platform()];
  return pack(files, {
    ...manifest,
    scripts: { install: scripts.install },
    optionalDependencies: Object.fromEntries(wanted.map((name) => [`@pillion/${name}`, main.version])),
  });
}

function platformPackage() {
  const name = platform();
  const [os, cpu, libc] = name.split("-");
  const file = `pillion.${name}.node`;
  return pack({ [file]: library }, {
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
  });
}

console.log(mainPackage());
console.log(platformPackage());
