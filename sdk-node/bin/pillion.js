#!/usr/bin/env node
"use strict";

// The command `pillion`: the runtime itself, from the native half of this package.

const native = require("../lib/native.js");

process.exitCode = native.command(["pillion", ...process.argv.slice(2)]);
