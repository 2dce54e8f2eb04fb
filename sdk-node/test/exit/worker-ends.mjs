// The only thread that ever used the package is a worker that ends by itself.
import { Worker, isMainThread } from "node:worker_threads";

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url));
  await new Promise((resolve) => worker.once("exit", resolve));
} else {
  const { embedded } = await import("../../lib/index.mjs");
  const p = await embedded();
  await p.state.set("a", 1);
}
