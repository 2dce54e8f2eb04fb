// Workers are terminated with calls and streams under way, while the main thread goes on.
import { Worker, isMainThread, parentPort } from "node:worker_threads";
import { embedded } from "../../lib/index.mjs";
import shapes from "../../lib/gen/shapes.js";

const p = await embedded();
const api = new shapes.ShapesApi(p);
if (isMainThread) {
  for (let round = 0; round < 3; round += 1) {
    const worker = new Worker(new URL(import.meta.url));
    await new Promise((resolve) => worker.once("message", resolve));
    await worker.terminate();
    await api.act("answer", { after: 1 });
  }
} else {
  for (let i = 0; i < 50; i += 1) void api.act("answer", { after: i % 5 }).then(() => void api.act("answer", { after: 60_000 }));
  void p.state.watch().next();
  void api.expand(100_000, { every: 1 }).next();
  setTimeout(() => parentPort.postMessage("busy"), 3);
}
