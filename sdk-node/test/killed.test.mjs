// A sidecar that is killed: the same errors as Rust has, and calls work again when it is back.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { connect } from "../lib/index.mjs";
import shapes from "../lib/gen/shapes.js";
import support from "./support.js";

const NODE = [process.execPath, join(support.ROOT, "driver/index.js")];
const RUST = [process.env.PILLION_DRIVER ?? join(support.ROOT, "../target/ci/pillion-driver")];

/** What is under way when the sidecar is killed. */
const UNDER_WAY = {
  "a write": { api: "shapes", method: "act", args: { act: "ACT_ANSWER", after: "600s" } },
  "a read": { api: "shapes", method: "expand", args: { count: 1, then: "THEN_HANG" } },
  "a watch": { api: "state", method: "watch", args: { prefix: "watched" } },
  "an upload": { api: "shapes", method: "collect", args: {} },
  "a conversation": { api: "shapes", method: "converse", args: {} },
};

let sidecar;
before(async () => (sidecar = await support.Sidecar.start()));
after(() => sidecar.kill());

/** A program that makes calls as it is told; see `docs/driver-protocol.md`. */
class Driver {
  #child;
  #lines;
  #last = 0;

  constructor([program, ...args]) {
    this.#child = spawn(program, [...args, "--endpoint", sidecar.url], { stdio: ["pipe", "pipe", "inherit"] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Gives a command, without waiting for its answer. */
  tell(command) {
    this.#last += 1;
    this.#child.stdin.write(`${JSON.stringify({ id: this.#last, ...command })}\n`);
    return this.#last;
  }

  /** The answer to this command; those to others before it are left out. */
  async answer(wanted) {
    for (;;) {
      const { done, value } = await this.#lines.next();
      assert.ok(!done, "the driver ended before it answered");
      const answer = JSON.parse(value);
      if (answer.id === wanted) return answer;
    }
  }

  ask(command) {
    return this.answer(this.tell(command));
  }

  async asked(command) {
    const answer = await this.ask(command);
    assert.ok("ok" in answer, JSON.stringify(answer));
    return answer.ok;
  }

  async end() {
    const ended = once(this.#child, "exit");
    this.#child.stdin.end();
    const [code] = await ended;
    assert.equal(code, 0);
  }
}

async function eventually(holds) {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Brings a call to where something is waited for; the number of what waits, if anything does yet. */
async function begin(driver, what) {
  const call = UNDER_WAY[what];
  if (what === "a write") return driver.tell(call);
  const stream = driver.tell({ open: call });
  assert.ok("ok" in (await driver.answer(stream)));
  if (what === "an upload") await driver.asked({ send: stream, message: { chunk: "AAAA" } });
  if (what === "a conversation") await driver.asked({ send: stream, message: { text: "hello" } });
  if (what !== "an upload") await driver.asked({ next: stream });
  return what === "an upload" ? () => driver.tell({ finish: stream }) : driver.tell({ next: stream });
}

/** How a call ends when its sidecar is killed. */
async function killed(program, what) {
  const driver = new Driver(program);
  const p = await connect(sidecar.url);
  const shape = new shapes.ShapesApi(p);
  const { open } = await shape.count();
  const waits = await begin(driver, what);
  if (what !== "a watch") await eventually(async () => (await shape.count()).open > open);
  await p.close();
  await sidecar.kill();
  const { error } = await driver.answer(typeof waits === "function" ? waits() : waits);
  await sidecar.restart();

  const write = { api: "state", method: "set", args: { key: "k", value: { data: "AAAA" } } };
  await eventually(async () => "ok" in (await driver.ask(write)));
  const { entry } = await driver.asked({ api: "state", method: "get", args: { key: "k" } });
  assert.equal(entry.value.data, "AAAA");
  await driver.end();
  return { category: error.category, reason: error.reason, outcome: error.outcome };
}

for (const what of Object.keys(UNDER_WAY)) {
  test(`a sidecar killed in ${what}: as in Rust, and it works again`, async () => {
    const expected = await killed(RUST, what);
    assert.equal(expected.category, "unavailable");
    assert.deepEqual(await killed(NODE, what), expected);
  });
}
