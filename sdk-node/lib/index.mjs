// The same objects as `require` gives: one implementation, two ways in.

import pillion from "./index.js";

export * from "./gen/errors.js";
export const { MessageStream, Pillion, PillionError, State, actuator, common, connect, embedded, open, state } = pillion;
