// A call that is under way keeps the program alive until it is answered.
import { embedded } from "../../lib/index.mjs";
import shapes from "../../lib/gen/shapes.js";

const api = new shapes.ShapesApi(await embedded());
process.exitCode = 1;
void api.act("answer", { after: 20 }).then(() => (process.exitCode = 0));
