/** Composes bundles in threads of their own, so that records do not wait for them. */
import { endsWithin } from "../base/deadline.ts";
import { type Failure, Thread } from "../base/thread.ts";
import type { Config } from "../config/schema.ts";
import { StoreUnavailable } from "../store/index.ts";
import type { Versions } from "../version.ts";
import type { Asked, Composed } from "./composer.ts";
import { EvidenceRefused } from "./refused.ts";
import type { Log } from "./time-stamper.ts";

export interface ComposingOptions {
  config: Pick<Config, "data_dir" | "detect" | "evidence" | "store">;
  versions: Versions;
  snapshotFormat: number;
}

export interface ComposingData extends ComposingOptions {
  /** Whether the thread runs only while no other one wants its processor. */
  whenIdle: boolean;
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
const idleMs = 30_000;
/** On a machine that has more to do than it can, a thread that makes way for all others has its turn after this time. */
const patienceMs = 5_000;

function toError({ message, refused, unavailable }: Failure<ComposingFailure>): Error {
  if (refused) return new EvidenceRefused(message, refused.temporary);
  return unavailable ? new StoreUnavailable(message) : new Error(message);
}

function startThread(data: ComposingData): Thread<Asked, ComposingAnswer, ComposingFailure> {
  // The name has the same ending as this file's, before and after compilation.
  const url = new URL(`./composing-worker${import.meta.url.slice(-3)}`, import.meta.url);
  return new Thread(url, data, toError, { limits, idleMs });
}

export class ComposingThreads {
  readonly #whenIdle: ReturnType<typeof startThread>;
  readonly #regardless: ReturnType<typeof startThread>;
  readonly #log: Log;

  /** The database must have been migrated before the first call. */
  constructor(options: ComposingOptions, log: Log) {
    this.#whenIdle = startThread({ ...options, whenIdle: true });
    this.#regardless = startThread({ ...options, whenIdle: false });
    this.#log = log;
  }

  /**
   * As `Composer.compose`.
   * @throws {EvidenceRefused}
   * @throws {StoreUnavailable}
   */
  readonly compose = async (asked: Asked): Promise<Composed | undefined> => {
    const made = this.#whenIdle.call(asked);
    const inTime = await endsWithin(patienceMs, made);
    const { composed, warnings } = await (inTime ? made : Promise.race([made, this.#regardless.call(asked)]));
    for (const [details, message] of warnings) this.#log.warn(details, message);
    return composed;
  };

  async close(): Promise<void> {
    await Promise.all([this.#whenIdle.close(), this.#regardless.close()]);
  }
}
