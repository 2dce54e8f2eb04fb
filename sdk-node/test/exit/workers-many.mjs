// Many workers at once, on the same threads of the runtime: half of them end, and half are terminated in their calls.
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import { embedded } from "../../lib/index.mjs";
import shapes from "../../lib/gen/shapes.js";

const WORKERS = 8;

const p = await embedded();
const api = new shapes.ShapesApi(p);
if (isMainThread) {
  const workers = Array.from({ length: WORKERS }, (_, index) => new Worker(new URL(import.meta.url), { workerData: index }));
  const ends = workers.map(
    (worker, index) =>
      new Promise((resolve, reject) => {
        worker.once("error", reject);
        worker.once("message", () => index % 2 === 0 && void worker.terminate());
        worker.once("exit", (code) => (index % 2 === 0 || code === 0 ? resolve() : reject(new Error(`worker ${index}: ${code}`))));
      }),
  );
  await Promise.all([...ends, ...Array.from({ length: 100 }, () => api.act("answer", { after: 5 }))]);
} else {
  await Promise.all(Array.from({ length: 50 }, (_, index) => api.act("answer", { after: index % 3 })));
  if (workerData % 2 === 0) void api.act("answer", { after: 600_000 });
  parentPort.postMessage("done");
}
