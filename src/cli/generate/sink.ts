import type { Batch } from "../../generate/shop-telemetry.ts";

/** Takes requests of one signal in order. */
export interface Sink {
  /** Resolves once the next may come. */
  write(batch: Batch): Promise<void>;
  close(): Promise<void>;
}

export interface Tally {
  /** Taken by the receiver, or written. */
  requests: number;
  records: number;
  bytes: number;
  /** In requests that were not taken, or by partial success. */
  refused: number;
}

export function tally(): Tally {
  return { requests: 0, records: 0, bytes: 0, refused: 0 };
}
