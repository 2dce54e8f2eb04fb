// The program ends itself where an answer is handled.
import { embedded } from "../../lib/index.mjs";
import shapes from "../../lib/gen/shapes.js";

const api = new shapes.ShapesApi(await embedded());
for (let i = 0; i < 20; i += 1) void api.act("answer", { after: 2 + (i % 3) }).then(() => process.exit(0));
