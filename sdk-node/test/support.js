"use strict";

// What the suites share: programs as processes of their own, and sidecars.

const { spawn } = require("node:child_process");
const { mkdtempSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { createInterface } = require("node:readline");

const ROOT = join(__dirname, "..");
/** A program that has not ended by then never will. */
const PATIENCE_MS = 60_000;

const folders = [];
process.on("exit", () => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** An empty folder, which goes when the tests have ended. */
function temporary(name) {
  const folder = mkdtempSync(join(tmpdir(), `pillion-${name}-`));
  folders.push(folder);
  return folder;
}

/** Runs Node on a file of `test/` and gives how it ended. `onLine` is told what it prints. */
function run(file, { args = [], flags = [], env = {}, onLine } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...flags, join(__dirname, file), ...args], {
      env: { ...process.env, RUST_BACKTRACE: "0", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
    const ended = { stdout: "", stderr: "" };
    child.stderr.on("data", (data) => (ended.stderr += data));
    createInterface({ input: child.stdout }).on("line", (line) => {
      ended.stdout += `${line}\n`;
      onLine?.(line, child);
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ ...ended, code, signal });
    });
  });
}

/** A sidecar: the command of this package, on a port of its own. */
class Sidecar {
  static async start() {
    const sidecar = new Sidecar();
    sidecar.folder = temporary("sidecar");
    await sidecar.restart();
    return sidecar;
  }

  /** Starts it, on the same port as before. */
  async restart() {
    const args = [join(ROOT, "bin/pillion.js"), "dev", "--json", "--port", String(this.port ?? 0)];
    this.child = spawn(process.execPath, args, { cwd: this.folder, stdio: ["ignore", "pipe", "inherit"] });
    const lines = createInterface({ input: this.child.stdout });
    const line = await new Promise((resolve, reject) => {
      lines.once("line", resolve);
      this.child.once("exit", (code) => reject(new Error(`the sidecar ended with ${code}`)));
    });
    this.url = JSON.parse(line).endpoint;
    this.port = new URL(this.url).port;
  }

  /** Ends it at once, as a crash would. */
  async kill(signal = "SIGKILL") {
    const ended = new Promise((resolve) => this.child.once("exit", (code, by) => resolve({ code, by })));
    this.child.kill(signal);
    return ended;
  }
}

module.exports = { ROOT, Sidecar, run, temporary };
