/** What every format is read into. */
import type { Signal } from "../../otlp/protocol.ts";

/** One request to judge. */
export interface Input {
  signal: Signal;
  /** An Export*ServiceRequest. */
  body: Buffer;
  /** How many of its records each line of output stands for, in their order; one each where it is not set. */
  units?: number[];
  /** For messages: what of the file it was read from. */
  place: string;
}

export interface Source {
  /** Name of the file, for messages. */
  name: string;
  /** The service that text formats' records are said to come from. */
  service: string;
  /** Told of each line that was longer than 64 KiB and of which the end, or all, was left out. */
  onLongLine(number: number): void;
}

/** Records that text formats put into one request. */
export const recordsPerRequest = 512;
