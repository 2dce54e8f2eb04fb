export type { CallOptions } from "./api.js";
export { PillionError } from "./error.js";
export * from "./gen/errors.js";
export * as actuator from "./gen/actuator.js";
export * as common from "./gen/common.js";
export * as state from "./gen/state.js";
export type { Apis } from "./gen/apis.js";
export {
  type ConnectOptions,
  type EmbeddedOptions,
  type HandleOptions,
  type OpenOptions,
  Pillion,
  connect,
  embedded,
  open,
} from "./pillion.js";
export {
  type As,
  type Change,
  type DeleteOptions,
  type Entry,
  type ListOptions,
  type ReadOptions,
  type SetOptions,
  State,
  type Storable,
  type WatchOptions,
} from "./state.js";
export { MessageStream, type Messages } from "./stream.js";
export type { Milliseconds, Timestamp } from "./time.js";
