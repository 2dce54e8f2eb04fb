import type { Pillion } from "./pillion.js";

/** What every call can be given. */
export interface CallOptions {
  /** Cancels the call. What a cancelled write did is as unknown as if the connection had broken. */
  signal?: AbortSignal;
  /**
   * How long the call may take, in milliseconds; for a stream, all of it. Default: that of the handle, which is
   * 30 s for a sidecar and no limit in this process; for streams none.
   */
  timeoutMs?: number;
  /** The application on whose behalf the call is made. Default: that of the handle. */
  appId?: string;
  /** The token for the sidecar. Default: that of the handle. */
  token?: string;
  /** The W3C trace that the call belongs to. */
  traceparent?: string;
  /** The W3C `tracestate` that came with it. */
  tracestate?: string;
}

/** The base of the generated classes. */
export declare class Api {
  constructor(pillion: Pillion);
}
