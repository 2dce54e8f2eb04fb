// Fixtures for vitest: `pillion`, fresh for each test that asks for it.

import { test as base } from "vitest";
import { testing } from "./testing.mjs";

export const test = base.extend({
  // eslint-disable-next-line no-empty-pattern -- vitest reads the names of the fixtures that are used from here
  pillion: async ({}, use) => {
    const p = await testing();
    try {
      await use(p);
    } finally {
      await p.close();
    }
  },
});

export const it = test;
export { testing };
