// What every language writes, each reads: a greeting to all who share this store.
//
// usage: node demo.mjs embedded | node demo.mjs http://127.0.0.1:34904

import { connect, embedded } from "pillion";

const [where = "embedded"] = process.argv.slice(2);
const mode = where === "embedded" ? "embedded" : "sidecar";

const p = mode === "embedded" ? await embedded() : await connect(where);
try {
  await p.state.set("greeting:node", { from: "node", mode });
  const greeting = await p.state.get("greeting:node");
  if (greeting?.from !== "node") throw new Error(`greeting:node is ${JSON.stringify(greeting)}`);

  for await (const { key, value, etag } of p.state.list("greeting:")) {
    console.log(`node: ${key} = ${JSON.stringify(value)} (etag ${etag})`);
  }
} finally {
  await p.close();
}
