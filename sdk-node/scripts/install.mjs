// Sees to it that the native half is there: the platform package, or a file beside this package, or one that is
// built here. It depends on nothing, downloads nothing, and never ends an installation with a stack trace.

import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { platform } = require("../lib/platform.js");
const { version } = require("../package.json");

const name = platform();
const wanted = `@pillion/${name}`;
const beside = join(root, `pillion.${name}.node`);

const LIBRARY = { darwin: "libpillion_node.dylib", win32: "pillion_node.dll" }[process.platform] ?? "libpillion_node.so";

function installed() {
  try {
    require.resolve(wanted);
    return true;
  } catch {
    return false;
  }
}

/** Builds with cargo, where this package is part of the repository. Says why not otherwise. */
function built() {
  if (!existsSync(join(root, "Cargo.toml"))) return "its source is not here";
  // The profile of everything else that is built from the source, so that dependencies are compiled once.
  const cargo = ["build", "--profile", "ci", "-p", "pillion-node", "--features", "testing", "--message-format", "json-render-diagnostics"];
  const { error, status, stdout } = spawnSync("cargo", cargo, {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (error?.code === "ENOENT") return "there is no cargo to build it (https://rustup.rs has it)";
  if (error) return `cargo cannot be started: ${error.message}`;
  if (status !== 0) return "cargo could not build it; its messages are above";
  const files = stdout.split("\n").filter(Boolean).flatMap((line) => JSON.parse(line).filenames ?? []);
  const library = files.findLast((file) => file.endsWith(LIBRARY));
  if (library === undefined) return `cargo built no ${LIBRARY}`;
  copyFileSync(library, beside);
  return undefined;
}

if (!installed() && !existsSync(beside)) {
  const problem = built();
  if (problem) {
    console.error(`pillion: the native half for ${name} is missing: the package ${wanted} is not installed, and ${problem}.`);
    console.error(`Install it with: npm install ${wanted}@${version}`);
    process.exitCode = 1;
  }
}
