// A panic in any function that the native half exports is a typed error, and the program goes on.

import assert from "node:assert/strict";
import { test } from "node:test";
import { InternalError, embedded } from "../lib/index.mjs";
import bridgeModule from "../lib/bridge.js";
import api from "../lib/api.js";
import { METHODS } from "./methods.mjs";

const { native, promise, bridge } = bridgeModule;

test("a panic in any exported function is an InternalError", async () => {
  const p = await embedded();
  const handle = p[api.INSIDE].native;
  const stream = handle.shapesConverse(undefined);
  const functions = {
    embedded: () => native.embedded(bridge, undefined),
    connect: () => native.connect(bridge, "http://127.0.0.1:1", undefined),
    open: () => native.open(bridge),
    waitReady: () => handle.waitReady(1),
    stateEntries: () => handle.stateEntries({}, undefined),
    stateChanges: () => handle.stateChanges({}, undefined),
    opened: () => stream.opened(),
    next: () => stream.next(),
    send: () => stream.send({}),
    finish: () => stream.finish(),
    fail: () => stream.fail(),
    command: () => native.command(["pillion", "--version"]),
    close: () => handle.close(),
  };
  for (const name of METHODS) functions[name] = () => handle[name]({}, {});
  for (const [name, call] of Object.entries(functions)) {
    native.panicNext();
    await assert.rejects(promise(call), (error) => error instanceof InternalError && error.reason === "runtime.panic", name);
  }
  await p.state.set("after", 1);
  assert.equal(await p.state.get("after"), 1);
  await p.close();
});

test("nothing is exported that the list above does not know", () => {
  const known = ["Bridge", "Handle", "Stream", "command", "connect", "embedded", "open", "panicNext"];
  assert.deepEqual(Object.keys(native).toSorted(), known.toSorted());
});
