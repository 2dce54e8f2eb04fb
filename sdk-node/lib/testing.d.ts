import type { FailOptions } from "./gen/testing.js";
import type { EmbeddedOptions, Pillion } from "./pillion.js";

/** A length of time: milliseconds, or text such as `"10s"`, `"5m"`, `"2h"`. */
export type Time = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

/** A runtime for tests. */
export interface TestPillion extends Pillion {
  readonly clock: {
    /** Moves the clock of the runtime: what expires by then is gone at once. Deadlines of calls stay in real time. */
    advance(by: Time): Promise<void>;
  };
  /**
   * From now on matching calls of a building block fail and have no effect.
   *
   * @param block - `state`.
   * @param fault - Which calls: `operation`, `component`, `after`, `times`; and with which `reason`.
   */
  fail(block: string, fault?: FailOptions): Promise<void>;
  /** Takes every fault back. The clock stays where it is. */
  reset(): Promise<void>;
}

/**
 * A runtime of its own in this process, without any port, for one test.
 *
 * @example
 * ```js
 * await using p = await testing();
 * await p.state.set("session", "x", { ttl: 600_000 });
 * await p.clock.advance("10m");
 * ```
 */
export declare function testing(options?: Pick<EmbeddedOptions, "appId">): Promise<TestPillion>;
