// The exported functions that stand for methods of the contract.

import bridge from "../lib/bridge.js";

const BY_HAND = new Set(["constructor", "close", "waitReady", "stateEntries", "stateChanges"]);

export const METHODS = Object.getOwnPropertyNames(bridge.native.Handle.prototype).filter((name) => !BY_HAND.has(name));
