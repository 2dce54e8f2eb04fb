import type { TestAPI } from "vitest";
import type { TestPillion } from "./testing.js";

export { testing, type TestPillion } from "./testing.js";

/** The `test` of vitest, with the fixture `pillion`: a runtime of its own for each test that asks for it. */
export declare const test: TestAPI<{ pillion: TestPillion }>;
export declare const it: typeof test;
