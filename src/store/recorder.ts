/** Records anomalies from a thread of its own: to take their reports apart and to write them costs more than to find them. */
import type { Config } from "../config/schema.ts";
import { RefusedData } from "./errors.ts";
import type { Settings } from "./settings.ts";
import { Thread } from "./thread.ts";

export interface RecorderData {
  config: Pick<Config, "data_dir" | "store">;
  settings: Settings;
}

export interface Batch {
  /** driftlock.v1.Anomaly messages. */
  reports: readonly Uint8Array[];
  /** Milliseconds since 1970. */
  now: number;
}

export class Recorder {
  readonly #thread: Thread<Batch, void>;

  /** The database must have been migrated before the first batch. */
  constructor(data: RecorderData) {
    // Its name ends as this file's does, before and after compilation.
    const url = new URL(`./recorder-worker${import.meta.url.slice(-3)}`, import.meta.url);
    this.#thread = new Thread(url, data, ({ message, badData }) =>
      badData ? new RefusedData(message) : new Error(message),
    );
  }

  /**
   * Stores all of a batch, or nothing.
   * @throws {RefusedData} where one of them cannot be stored.
   */
  record(batch: Batch): Promise<void> {
    return this.#thread.call(batch);
  }

  close(): Promise<void> {
    return this.#thread.close();
  }
}
