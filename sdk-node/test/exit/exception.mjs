// An exception that nobody catches, with calls and a stream under way.
import { embedded } from "../../lib/index.mjs";
import shapes from "../../lib/gen/shapes.js";

const p = await embedded();
const api = new shapes.ShapesApi(p);
void api.act("answer", { after: 60_000 });
void p.state.watch("x").next();
await api.act("answer", { after: 2 });
throw new Error("as it was told to");
