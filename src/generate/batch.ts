import type { Signal } from "../otlp/protocol.ts";

/** What all sources of telemetry are told. */
export interface TelemetryOptions {
  seed: string;
  startUnixNano: bigint;
  signals: readonly Signal[];
  /** Average number of records per second of wall time. */
  rate: number;
  /** Seconds of stream time per second of wall time. */
  speed: number;
  /** Duration in milliseconds of stream time; may be infinite. */
  duration: number;
  /** Maximum number of records per request. */
  recordsPerRequest: number;
}

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
