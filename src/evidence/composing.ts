/** Composes bundles in a thread of its own, so that records do not wait for them. */
import { type Failure, Thread } from "../base/thread.ts";
import type { Config } from "../config/schema.ts";
import { StoreUnavailable } from "../store/index.ts";
import type { Versions } from "../version.ts";
import type { Asked, Composed } from "./composer.ts";
import { EvidenceRefused } from "./refused.ts";
import type { Log } from "./time-stamper.ts";

export interface ComposingData {
  config: Pick<Config, "data_dir" | "detect" | "evidence" | "store">;
  versions: Versions;
  snapshotFormat: number;
}

export interface ComposingAnswer {
  composed: Composed | undefined;
  /** What the thread would log. */
  warnings: [details: object, message: string][];
}

export interface ComposingFailure {
  /** Set if the bundle is refused. */
  refused: { temporary: boolean } | undefined;
  /** Whether the database cannot be used at present. */
  unavailable: boolean;
}

const limits = { maxOldGenerationSizeMb: 512 };
/** Starting it costs as much as making some thirty bundles, and bundles are often asked for a few minutes apart. */
const idleMs = 600_000;

function toError({ message, refused, unavailable }: Failure<ComposingFailure>): Error {
  if (refused) return new EvidenceRefused(message, refused.temporary);
  return unavailable ? new StoreUnavailable(message) : new Error(message);
}

export class ComposingThread {
  readonly #thread: Thread<Asked, ComposingAnswer, ComposingFailure>;
  readonly #log: Log;

  /** The database must have been migrated before the first call. */
  constructor(data: ComposingData, log: Log) {
    // The name has the same ending as this file's, before and after compilation.
    const url = new URL(`./composing-worker${import.meta.url.slice(-3)}`, import.meta.url);
    this.#thread = new Thread(url, data, toError, { limits, idleMs });
    this.#log = log;
  }

  /**
   * As `Composer.compose`.
   * @throws {EvidenceRefused}
   * @throws {StoreUnavailable}
   */
  readonly compose = async (asked: Asked): Promise<Composed | undefined> => {
    const { composed, warnings } = await this.#thread.call(asked);
    for (const [details, message] of warnings) this.#log.warn(details, message);
    return composed;
  };

  close(): Promise<void> {
    return this.#thread.close();
  }
}
