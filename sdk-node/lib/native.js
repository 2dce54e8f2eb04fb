"use strict";

// Finds and loads the native half: PILLION_ADDON, the file beside this package, or the platform package.

const { existsSync } = require("node:fs");
const { join, resolve } = require("node:path");
const { platform } = require("./platform.js");

/** Loads a library, whatever it is called. */
function open(file) {
  const loaded = { exports: {} };
  process.dlopen(loaded, file);
  return loaded.exports;
}

function load() {
  const named = process.env.PILLION_ADDON;
  if (named) return open(resolve(named));

  const name = platform();
  const beside = join(__dirname, "..", `pillion.${name}.node`);
  if (existsSync(beside)) return require(beside);

  const wanted = `@pillion/${name}`;
  try {
    return require(wanted);
  } catch (cause) {
    const { version } = require("../package.json");
    const message =
      `the native half of pillion for ${name} is not installed. The package ${wanted} has it: npm leaves it out when ` +
      "optional dependencies are switched off, or when a lock file was made on another platform. " +
      `Install it with: npm install ${wanted}@${version}`;
    throw Object.assign(new Error(message, { cause }), { code: "MODULE_NOT_FOUND" });
  }
}

module.exports = load();
