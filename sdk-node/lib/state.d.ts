import type { CallOptions } from "./api.js";
import type { Consistency, Fence } from "./gen/common.js";
import type { SetResponse } from "./gen/state.js";
import type { MessageStream } from "./stream.js";
import type { Milliseconds } from "./time.js";

/**
 * What can be stored: views and buffers as the bytes they are, text as UTF-8, and everything else as JSON, by what
 * its `toJSON` gives.
 */
export type Storable = ArrayBufferView | ArrayBuffer | string | number | boolean | null | object;

/** What a value is read as. Without it the content type decides; bytes of an unknown type stay bytes. */
export type As = "bytes" | "text" | "json";

export interface ReadOptions extends CallOptions {
  /**
   * Reads the value as this, whatever its content type; text as JSON or the reverse is the error
   * `value.content_type_mismatch`.
   */
  as?: As;
  /** How fresh the answer must be. */
  consistency?: Consistency;
}

export interface SetOptions extends CallOptions {
  /** The media type of the value. Default: that of its JavaScript type. */
  contentType?: string;
  /** The entry is gone after this time. Default: it stays. */
  ttl?: Milliseconds;
  /** Leaves the expiry of the present entry as it is. Not together with `ttl`. */
  keepTtl?: boolean;
  /** Only if the key has no entry; otherwise an {@link ExistsError}. */
  ifAbsent?: boolean;
  /** Only if the entry has this etag; otherwise a {@link ConflictError}. */
  ifMatch?: string;
  /** How safe the write must be. */
  consistency?: Consistency;
  /** A repeated call with the same key is applied once, where the store declares it. */
  idempotencyKey?: string;
  /** Refuses the write if the lock was granted anew since. */
  fence?: Fence;
}

export interface DeleteOptions extends CallOptions {
  /** Only if the entry has this etag; otherwise a {@link ConflictError}. */
  ifMatch?: string;
  consistency?: Consistency;
  /** A repeated call with the same key is applied once, where the store declares it. */
  idempotencyKey?: string;
  /** Refuses the delete if the lock was granted anew since. */
  fence?: Fence;
}

export interface ListOptions extends CallOptions {
  /** How many entries are fetched at once: 1 to 1,000. Default: 100. */
  pageSize?: number;
  as?: As;
}

export interface WatchOptions extends CallOptions {
  /** Only this key; the prefix is then left out. */
  key?: string;
  /** Begins after this revision of an earlier watch, without the present entries. */
  after?: bigint;
  as?: As;
}

/** An entry of a store. */
export interface Entry<T = unknown> {
  key: string;
  value: T;
  /** Opaque: for `ifMatch`. */
  etag: string;
  /** The media type of the value; empty if unknown. */
  contentType: string;
  /** How long it will still be readable; `undefined` if it stays. */
  expiresIn: Milliseconds | undefined;
}

/** What {@link State.watch} reports. `revision` is where `after` would go on; `0n` while that is impossible. */
export type Change<T = unknown> =
  /** An entry was written, or is there at the beginning. */
  | { type: "written"; entry: Entry<T>; revision: bigint }
  /** An entry is gone: `expired` if its time was up. */
  | { type: "deleted"; key: string; expired: boolean; revision: bigint }
  /** Changes were missed: forget what you know; the present entries and `synced` follow. */
  | { type: "resync"; revision: bigint }
  /** Everything up to here was reported. */
  | { type: "synced"; revision: bigint };

/**
 * A state store.
 *
 * @example
 * ```js
 * await p.state.set("cart:42", { items: 3 }, { ttl: 60_000 });
 * const cart = await p.state.get("cart:42");
 * ```
 */
export declare class State {
  private constructor();

  /** The store that is declared under `name`. Whether there is one, the first call shows. */
  store(name: string): State;

  /** The value of a key; `undefined` if it has no entry. */
  get(key: string, options: ReadOptions & { as: "bytes" }): Promise<Buffer | undefined>;
  get(key: string, options: ReadOptions & { as: "text" }): Promise<string | undefined>;
  get<T = unknown>(key: string, options?: ReadOptions): Promise<T | undefined>;

  /** The entry of a key, with etag, content type and time to live; `undefined` if there is none. */
  getEntry<T = unknown>(key: string, options?: ReadOptions): Promise<Entry<T> | undefined>;

  /** Writes an entry. The answer has its etag. */
  set(key: string, value: Storable, options?: SetOptions): Promise<SetResponse>;

  /** Deletes an entry. Whether there was one. */
  delete(key: string, options?: DeleteOptions): Promise<boolean>;

  /** The values of those of the keys that have an entry. If one cannot be read, its error is thrown. */
  getMany<T = unknown>(keys: Iterable<string>, options?: ReadOptions): Promise<Map<string, T>>;

  /**
   * The entries whose key begins with `prefix`; all without one. Pages are fetched as they are needed, so this is no
   * snapshot.
   */
  list<T = unknown>(prefix?: string, options?: ListOptions): MessageStream<Entry<T>>;

  /** As {@link list}, without the values. */
  keys(prefix?: string, options?: Omit<ListOptions, "as">): MessageStream<string>;

  /**
   * Reports the entries whose key begins with `prefix`, and then every change. A lost connection is made again, and
   * the watch goes on where it was; where that is impossible it says `resync`.
   */
  watch<T = unknown>(prefix?: string, options?: WatchOptions): MessageStream<Change<T>>;
}
