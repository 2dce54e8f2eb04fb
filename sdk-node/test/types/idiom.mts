// What editors and compilers must accept, and what they must not. It is compiled, never run.

import {
  ConflictError,
  type Entry,
  type MessageStream,
  PillionError,
  type Reason,
  common,
  connect,
  embedded,
  state,
} from "pillion";

type Exactly<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never;
const same = <A, B>(_: Exactly<A, B>): void => {};

interface Cart {
  items: number;
}

const p = await embedded({ dataDir: "./data" });
const q = await connect("http://127.0.0.1:34904", { retries: 0, token: "secret" });

const cart = await p.state.get<Cart>("cart:42");
same<typeof cart, Cart | undefined>(true);
const bytes = await p.state.get("cart:42", { as: "bytes" });
same<typeof bytes, Buffer | undefined>(true);
const unknown = await p.state.get("cart:42");
same<typeof unknown, unknown>(true);

const { etag, durability } = await p.state.set("a", { items: 3 }, { ttl: 60_000, ifAbsent: true });
same<typeof etag, string>(true);
same<typeof durability, common.Durability | undefined>(true);
await p.state.set("a", new Uint8Array(3));
// @ts-expect-error nothing that JSON has no word for
await p.state.set("a", undefined);
// @ts-expect-error a lifetime is a number of milliseconds
await p.state.set("a", 1, { ttl: "60s" });

for await (const entry of p.state.list<Cart>("cart:")) same<typeof entry, Entry<Cart>>(true);
for await (const change of p.state.watch<Cart>("cart:")) {
  if (change.type === "written") same<typeof change.entry.value, Cart>(true);
  // @ts-expect-error only what was written has an entry
  else change.entry;
}

const answer = await q.apis.state.get("a", { consistency: "strong", timeoutMs: 100, signal: AbortSignal.timeout(5) });
same<typeof answer.entry, state.Entry | undefined>(true);
await q.apis.state.get("a", { consistency: common.Consistency.Strong });
await q.apis.state.get("a", { consistency: 7 });
// @ts-expect-error there is no such value
await q.apis.state.get("a", { consistency: "fast" });
// @ts-expect-error the key is missing
await q.apis.state.get();
await q.apis.state.transact([{ kind: { case: "delete", value: { key: "a", condition: { kind: { case: "ifMatch", value: etag } } } } }]);

const stream = q.apis.state.watch("a", { afterRevision: 5n });
same<typeof stream, MessageStream<state.WatchResponse>>(true);
for await (const { event } of stream) {
  switch (event?.case) {
    case "written":
      same<typeof event.value, state.EntryWritten>(true);
      break;
    case "deleted":
      same<typeof event.value.revision, bigint>(true);
      break;
  }
}

try {
  await p.close();
} catch (error) {
  if (error instanceof ConflictError) same<typeof error.category, "conflict">(true);
  if (error instanceof PillionError) {
    same<typeof error.reason, Reason>(true);
    if (error.reason === "state.etag_mismatch") same<typeof error.outcome, "rejected" | "unknown">(true);
  }
}

{
  await using scoped = await embedded();
  await scoped.state.keys().next();
}
