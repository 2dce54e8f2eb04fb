// Nothing is under way, and nothing is closed: the program just ends.
import { embedded } from "../../lib/index.mjs";

const p = await embedded();
await p.state.set("a", 1);
