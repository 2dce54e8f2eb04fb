// A call is under way when the program ends itself.
import { embedded } from "../../lib/index.mjs";
import shapes from "../../lib/gen/shapes.js";

const api = new shapes.ShapesApi(await embedded());
void api.act("answer", { after: 60_000 });
setTimeout(() => process.exit(0), 5);
