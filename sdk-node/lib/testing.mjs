import kit from "./testing.js";

export const { testing } = kit;
