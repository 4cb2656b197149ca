/** The form into which every format is read. */
import type { Signal } from "../../otlp/protocol.ts";

/** One request to judge. */
export interface Input {
  signal: Signal;
  /** An encoded Export*ServiceRequest. */
  body: Buffer;
  /** Number of records that each line of output stands for, in their order; if it is not set, one record each. */
  units?: number[];
  /** Place in the file, for messages. */
  place: string;
}

export interface Source {
  /** Name of the file, for messages. */
  name: string;
  /** The service.name of the records of text formats. */
  service: string;
  /** Is called for each line longer than 64 KiB, which was truncated or left out. */
  onLongLine(number: number): void;
}

/** Number of records per request of text formats. */
export const recordsPerRequest = 512;
