import type { Batch } from "../../generate/batch.ts";

/** Writes the requests of each signal in order. */
export interface Sink {
  /** Resolves as soon as the next batch may be written. */
  write(batch: Batch): Promise<void>;
  close(): Promise<void>;
}

export interface Tally {
  /** Number of requests that the receiver accepted or that were written. */
  requests: number;
  records: number;
  bytes: number;
  /** Number of records in refused requests, or refused by partial success. */
  refused: number;
}

export function tally(): Tally {
  return { requests: 0, records: 0, bytes: 0, refused: 0 };
}
