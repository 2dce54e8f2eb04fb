// A loop waits for the next change while the program ends itself.
import { embedded } from "../../lib/index.mjs";

const p = await embedded();
for await (const change of p.state.watch()) {
  if (change.type === "synced") setTimeout(() => process.exit(0), 5);
}
