#!/usr/bin/env node
"use strict";

// The command `pillion`: the runtime itself, from the native half of this package.

const native = require("../lib/native.js");

// Node's own handlers raise the signal again until it is not handled, and the command handles it: the two would
// go round in a circle. With a listener Node has other handlers, which do nothing but tell the listener.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {});

process.exitCode = native.command(["pillion", ...process.argv.slice(2)]);
