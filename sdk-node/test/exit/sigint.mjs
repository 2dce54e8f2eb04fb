// Ctrl-C while calls are under way.
import { embedded } from "../../lib/index.mjs";
import shapes from "../../lib/gen/shapes.js";

const api = new shapes.ShapesApi(await embedded());
void api.act("answer", { after: 60_000 });
console.log("ready");
