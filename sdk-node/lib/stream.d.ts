/** The requests of an upload: an array, a generator, a stream of Node. They are taken as fast as the call takes them. */
export type Messages<T> = AsyncIterable<T> | Iterable<T>;

/**
 * The answers of a call, for `for await`. Each is fetched when it is asked for, so a slow reader slows the sender
 * down. Leaving the loop ends the call, and so does {@link close}.
 *
 * A stream that nobody reads keeps no program alive.
 */
export declare class MessageStream<T> implements AsyncIterableIterator<T> {
  private constructor();
  /** Waits until the runtime has taken the call: from then on nothing is missed. */
  opened(): Promise<this>;
  next(): Promise<IteratorResult<T, undefined>>;
  return(value?: undefined): Promise<IteratorResult<T, undefined>>;
  throw(error?: unknown): Promise<IteratorResult<T, undefined>>;
  /** Ends the call. Who waits for a message is told that there are no more. */
  close(): void;
  [Symbol.asyncIterator](): this;
  [Symbol.asyncDispose](): Promise<void>;
}
