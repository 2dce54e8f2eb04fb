// The fixtures have types. On its own, since the types of vitest are not ours to check.

import { expect } from "vitest";
import { test, type TestPillion } from "pillion/vitest";
import { testing } from "pillion/testing";

test("typed", async ({ pillion }) => {
  const p: TestPillion = pillion;
  await p.clock.advance("10m");
  // @ts-expect-error no unit
  await p.clock.advance("10");
  await p.fail("state", { operation: "get", after: 2 });
  expect(await p.state.get("a", { as: "text" })).toBeUndefined();
});

await using p = await testing({ appId: "orders" });
await p.reset();
