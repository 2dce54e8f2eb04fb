// Half of a stream was read; nobody waits for the rest.
import { embedded } from "../../lib/index.mjs";
import shapes from "../../lib/gen/shapes.js";

const api = new shapes.ShapesApi(await embedded());
const numbers = api.expand(1000);
await numbers.next();
await numbers.next();
