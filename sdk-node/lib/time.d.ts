/**
 * A length of time in milliseconds. The digits behind the point are micro- and nanoseconds: `1.5` is
 * 1,500 microseconds. Nanoseconds are exact up to 104 days.
 */
export type Milliseconds = number;

/**
 * A moment. The runtime keeps nanoseconds and a `Date` milliseconds: what is below the millisecond is in
 * `nanoseconds`, from 0 to 999,999, and left out if it is 0. Any `Date` can be given.
 */
export interface Timestamp extends Date {
  readonly nanoseconds?: number;
}
