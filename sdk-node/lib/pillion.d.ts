import type { CallOptions } from "./api.js";
import type { GetStatusResponse } from "./gen/actuator.js";
import type { Apis } from "./gen/apis.js";
import type { State } from "./state.js";

/** What a handle adds to every call that says nothing else. */
export type HandleOptions = Omit<CallOptions, "signal">;

/**
 * A runtime: in this process, or a sidecar. It is closed by {@link close}, by leaving the scope of `await using`, or
 * when it is garbage. It keeps no program alive.
 */
export declare class Pillion {
  private constructor();
  /** The default state store; {@link State.store} gives the others. */
  readonly state: State;
  /** The APIs as they are in the contract, for what the handles do not offer. */
  readonly apis: Apis;
  /** The same runtime, with other options for every call. */
  with(options: HandleOptions): Pillion;
  /** What runs there: version, addresses, and every component with its state. */
  status(options?: CallOptions): Promise<GetStatusResponse>;
  /**
   * Waits until the runtime answers and every component can be used. Default: 30 s.
   *
   * @throws {@link UnavailableError} what was still in the way when the time was up.
   */
  waitReady(options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<void>;
  /**
   * Closes the connection, or stops the embedded runtime, for all its handles. Streams end with `runtime.closed`,
   * and so does every later call. Closing again does nothing.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface OpenOptions {
  /** Gives up opening. */
  signal?: AbortSignal;
}

export interface EmbeddedOptions extends OpenOptions {
  /** Keeps the data in this folder, which is made if there is none. Default: in memory, for this runtime alone. */
  dataDir?: string;
  /** Uses the components, limits and deadlines of a configuration file. Not together with `dataDir`. */
  configFile?: string;
  /** The application that this program is. Default: the environment variable `PILLION_APP_ID`. */
  appId?: string;
}

export interface ConnectOptions extends OpenOptions {
  /** How many connections calls are spread over. Default: 4 over TCP, 1 over a Unix socket. */
  connections?: number;
  /** The token of the sidecar. Default: the environment variable `PILLION_TOKEN`. */
  token?: string;
  /** The application that this program is. Default: the environment variable `PILLION_APP_ID`. */
  appId?: string;
  /** How long a call may take, retries included, in milliseconds. Default: 30,000. */
  timeoutMs?: number;
  /** The largest answer that is taken, in bytes. Default: 64 MiB. */
  maxMessage?: number;
  /** How often a failed call is made again, where that is safe. Default: 3; 0 for never. */
  retries?: number;
  /** How often a silent sidecar is asked whether it is there, in milliseconds. Default: 10,000. */
  keepAliveMs?: number;
}

/**
 * The runtime that this program was started beside: the sidecar at `PILLION_ENDPOINT` if the variable is set, which
 * `npx pillion dev -- node app.js` does, and otherwise one of its own in this process.
 */
export declare function open(options?: OpenOptions): Promise<Pillion>;

/** A runtime of its own in this process, without any socket. Several know nothing of each other. */
export declare function embedded(options?: EmbeddedOptions): Promise<Pillion>;

/**
 * A handle on the sidecar at `url`: `http://127.0.0.1:34904` or `unix:///path`.
 *
 * Nothing is connected yet: this succeeds while the sidecar is down. Calls then fail with `runtime.unreachable`, and
 * work as soon as it is up; {@link Pillion.waitReady} waits for that.
 */
export declare function connect(url: string, options?: ConnectOptions): Promise<Pillion>;
