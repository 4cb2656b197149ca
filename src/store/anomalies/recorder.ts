/**
 * Records anomalies on a thread of its own, since decoding and writing their reports costs more than detecting them.
 */
import { Thread } from "../../base/thread.ts";
import type { Config } from "../../config/schema.ts";
import { RefusedData } from "../database/errors.ts";
import type { Settings } from "../settings.ts";

/** Set for a report that the database rejects. */
export interface BadData {
  badData: boolean;
}

export interface RecorderData {
  config: Pick<Config, "data_dir" | "store">;
  settings: Settings;
}

export interface Batch {
  /** The reports as driftlock.v1.Anomaly messages. */
  reports: readonly Uint8Array[];
  /** The time in milliseconds since 1970. */
  now: number;
}

/**
 * A batch as it is transferred to the thread: cloning hundreds of arrays costs several times as much as joining them.
 */
export interface PackedBatch {
  bytes: Uint8Array<ArrayBuffer>;
  /** The offset in `bytes` at which each report ends. */
  ends: number[];
  now: number;
}

function pack({ reports, now }: Batch): PackedBatch {
  const bytes = new Uint8Array(reports.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  const ends = reports.map((report) => {
    bytes.set(report, end);
    end += report.length;
    return end;
  });
  return { bytes, ends, now };
}

export function unpack({ bytes, ends }: PackedBatch): Uint8Array[] {
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
}

export class Recorder {
  readonly #thread: Thread<PackedBatch, void, BadData>;

  /** The database must have been migrated before the first batch. */
  constructor(data: RecorderData) {
    // The name has the same ending as this file's, before and after compilation.
    const url = new URL(`./recorder-worker${import.meta.url.slice(-3)}`, import.meta.url);
    this.#thread = new Thread(url, data, ({ message, badData }) =>
      badData ? new RefusedData(message) : new Error(message),
    );
  }

  /**
   * Stores all reports of a batch or none.
   * @throws {RefusedData} if one of them cannot be stored.
   */
  record(batch: Batch): Promise<void> {
    const packed = pack(batch);
    return this.#thread.call(packed, [packed.bytes.buffer]);
  }

  close(): Promise<void> {
    return this.#thread.close();
  }
}
