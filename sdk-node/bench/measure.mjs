// How calls and processes are measured.

import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
/** Calls before anything is counted, so that they are compiled. */
const WARM_UP = 2000;

export function median(figures) {
  const sorted = figures.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Makes calls one after the other in each of `together` loops, while `going` says so. */
async function loops(call, together, going) {
  let calls = 0;
  const loop = async () => {
    while (going(calls)) {
      await call();
      calls += 1;
    }
  };
  await Promise.all(Array.from({ length: together }, loop));
  return calls;
}

/** Calls a second, with so many in flight. */
export async function throughput(call, together, seconds) {
  await loops(call, together, (calls) => calls < WARM_UP);
  const begun = performance.now();
  const end = begun + seconds * 1000;
  const calls = await loops(call, together, () => performance.now() < end);
  return calls / ((performance.now() - begun) / 1000);
}

/** How long a call takes with one in flight, in microseconds: the median. */
export async function latency(call, seconds) {
  await loops(call, 1, (calls) => calls < WARM_UP);
  const times = [];
  const end = performance.now() + seconds * 1000;
  for (let now = performance.now(); now < end; ) {
    await call();
    const then = performance.now();
    times.push((then - now) * 1000);
    now = then;
  }
  return median(times);
}

/** Runs a program of `fixture/` as a fresh process: how long it took, and the memory that it says it has. */
export async function fresh(program) {
  const begun = performance.now();
  const child = spawn(process.execPath, [join(here, "fixture", `${program}.mjs`)], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (data) => (said += data));
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`${program} ended with ${code}`);
  return { milliseconds: performance.now() - begun, ...JSON.parse(said) };
}
