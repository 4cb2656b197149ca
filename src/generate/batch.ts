import type { Signal } from "../otlp/protocol.ts";

/** A request that is ready to be sent. */
export interface Batch {
  signal: Signal;
  /** An encoded Export*ServiceRequest. */
  body: Buffer;
  /** Time at which the request is complete, in milliseconds of stream time. */
  time: number;
  /** Number of records in it. */
  records: number;
}
