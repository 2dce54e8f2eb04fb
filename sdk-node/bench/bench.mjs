// Measures Pillion beside the stock client, in one process and on one server; a JSON object a line.
//
// usage: node bench.mjs --endpoint URL [--unix PATH] [--seconds 1.0] [--rounds 5] [--package FILE] [--modules FOLDER]
//
// The server is a sidecar with a store in memory (`pillion dev`). --modules is where the stock client is installed.

import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { fresh, latency, median, throughput } from "./measure.mjs";
import { stock } from "./peer/index.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const KEY = "bench:payload";
const PAYLOAD = Buffer.alloc(100, "x");
const TOGETHER = 64;
const PROCESSES = 11;
const MB = 1e6;

const { values: options } = parseArgs({
  options: {
    endpoint: { type: "string" },
    unix: { type: "string" },
    seconds: { type: "string", default: "1.0" },
    rounds: { type: "string", default: "5" },
    package: { type: "string" },
    modules: { type: "string", default: join(here, "../../target/node/bench") },
  },
});
if (!options.endpoint) {
  console.error("usage: node bench.mjs --endpoint URL [--unix PATH] [--seconds 1.0] [--rounds 5] [--package FILE] [--modules FOLDER]");
  process.exit(2);
}
const seconds = Number(options.seconds);
const rounds = Number(options.rounds);

/** Prints a row. `goal` is what the ratio to the peer, or the figure where there is none, is to reach, if anything is. */
function row(name, unit, pillion, peer, goal) {
  const reached = peer === null ? pillion : pillion / peer;
  const met = goal && (goal.least === undefined ? reached <= goal.most : reached >= goal.least);
  const text = goal === null ? null : `${goal.least === undefined ? `≤ ${goal.most}` : `≥ ${goal.least}`}${peer === null ? "" : " ×"}`;
  console.log(JSON.stringify({ row: name, pillion: rounded(pillion), peer: peer && rounded(peer), unit, goal: text, met }));
}

function rounded(figure) {
  return Number(figure.toPrecision(4));
}

/** Measures both by turns and prints the medians. */
async function compare(name, unit, measure, pillion, peer, goal) {
  const ours = [];
  const theirs = [];
  for (let round = 0; round < rounds; round += 1) {
    ours.push(await measure(pillion, seconds));
    if (peer) theirs.push(await measure(peer, seconds));
  }
  row(name, unit, median(ours), peer ? median(theirs) : null, goal);
}

// What a fresh process costs comes first: this one has not loaded the package yet, so its pages are nobody's but theirs.
const started = { bare: [], import: [] };
for (let run = 0; run < PROCESSES; run += 1) {
  for (const program of Object.keys(started)) started[program].push((await fresh(program)).milliseconds);
}
row("import", "ms", Math.max(0, median(started.import) - median(started.bare)), null, { most: 30 });

const memory = { idle: [], embedded: [] };
for (let run = 0; run < 5; run += 1) {
  for (const program of Object.keys(memory)) memory[program].push((await fresh(program)).bytes / MB);
}
row("idle embedded runtime above bare Node", "MB", median(memory.embedded) - median(memory.idle), null, { most: 8 });

if (options.package) row("package", "MB", statSync(options.package).size / MB, null, { most: 8 });

const { connect, embedded } = await import("pillion");

const inside = await embedded();
await inside.state.set(KEY, PAYLOAD);
const get = () => inside.state.get(KEY);
const each = async (call, time) => 1e6 / (await throughput(call, 1, time));
const together = (call, time) => throughput(call, TOGETHER, time);
await compare("in-process get", "µs", each, get, null, { most: 5 });
await compare(`in-process get, ${TOGETHER} in flight`, "calls/s", together, get, null, { least: 80_000 });
await inside.close();

for (const [name, url] of Object.entries({ remote: options.endpoint, "Unix socket": options.unix && `unix://${options.unix}` })) {
  if (!url) continue;
  const p = await connect(url);
  const peer = stock(options.modules, url);
  await p.state.set(KEY, PAYLOAD);
  const ours = () => p.state.get(KEY);
  const theirs = () => peer.get(KEY);
  const answers = [await ours(), (await theirs()).entry.value.data];
  if (!answers.every((data) => PAYLOAD.equals(data))) throw new Error("the answers are not what was written");
  await compare(`${name} get, ${TOGETHER} in flight`, "calls/s", together, ours, theirs, { least: 3 });
  await compare(`${name} get, one in flight, median`, "µs", latency, ours, theirs, null);
  peer.close();
  await p.close();
}
