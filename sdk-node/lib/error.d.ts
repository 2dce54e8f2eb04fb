import type { Category, Reason } from "./gen/errors.js";

/**
 * What went wrong, whether the call may have taken effect, and what to do next. There is a class for each
 * category, such as {@link NotFoundError}. `instanceof` also holds for errors of another copy of this package.
 */
export declare class PillionError extends Error {
  protected constructor(message: string);
  /** What kind of failure it was. */
  readonly category: Category;
  /** The code: `state.etag_mismatch`. `npx pillion explain` knows each. */
  readonly reason: Reason;
  /** The same as {@link reason}, under the name that Node uses. */
  readonly code: Reason;
  /**
   * Whether the call may have taken effect: `rejected`, it surely has not; `unknown`, it may have, since the
   * answer was lost.
   */
  readonly outcome: "rejected" | "unknown";
  /** Whether trying again later may succeed. */
  readonly retryable: boolean;
  /** How long to wait at least before that, in milliseconds. */
  readonly retryAfterMs?: number;
  /** The component that failed; empty if none did. */
  readonly component: string;
  /** Details for programs: `key`, `limit`, `found_etag`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** What to do next. */
  readonly advice: string;
}
