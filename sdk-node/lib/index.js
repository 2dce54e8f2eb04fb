"use strict";

const { Pillion, connect, embedded, open } = require("./pillion.js");
const { MessageStream } = require("./stream.js");
const { PillionError } = require("./error.js");
const { State } = require("./state.js");

module.exports = {
  ...require("./gen/errors.js"),
  MessageStream,
  Pillion,
  PillionError,
  State,
  actuator: require("./gen/actuator.js"),
  common: require("./gen/common.js"),
  connect,
  embedded,
  open,
  state: require("./gen/state.js"),
};
