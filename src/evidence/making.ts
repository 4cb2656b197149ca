/** Makes bundles in a thread of its own, so that records do not wait for them. */
import { type Failure, Thread } from "../base/thread.ts";
import type { Config } from "../config/schema.ts";
import {
  type ChainedHead,
  InvalidArgument,
  type Store,
  type StoredBundle,
  StoreUnavailable,
} from "../store/index.ts";
import type { Versions } from "../version.ts";
import type { Order } from "./maker.ts";
import { EvidenceRefused } from "./refused.ts";
import type { Log } from "./time-stamper.ts";

export interface MakingData {
  config: Pick<Config, "data_dir" | "detect" | "evidence" | "store">;
  versions: Versions;
  snapshotFormat: number;
}

export interface MakingAnswer {
  made: StoredBundle | undefined;
  /** The heads of the audit log since, which are recorded outside of the database. */
  heads: ChainedHead[];
  /** What the thread would log. */
  warnings: [details: object, message: string][];
}

export interface MakingFailure {
  /** Set if the bundle is refused. */
  refused: { temporary: boolean } | undefined;
  /** The argument that the store does not accept. */
  argument: string | undefined;
  /** Whether the database cannot be used at present. */
  unavailable: boolean;
}

const limits = { maxOldGenerationSizeMb: 512 };
/** Starting it costs as much as making some thirty bundles, and bundles are often asked for a few minutes apart. */
const idleMs = 600_000;

function toError({ message, refused, argument, unavailable }: Failure<MakingFailure>): Error {
  if (refused) return new EvidenceRefused(message, refused.temporary);
  if (argument) return new InvalidArgument(argument, message.slice(`${argument}: `.length));
  return unavailable ? new StoreUnavailable(message) : new Error(message);
}

export interface MakingOptions {
  /** The store of the process, whose database has been migrated before the first call. */
  store: Pick<Store, "recordHeads">;
  log: Log;
}

export class MakingThread {
  readonly #thread: Thread<Order, MakingAnswer, MakingFailure>;
  readonly #options: MakingOptions;

  constructor(data: MakingData, options: MakingOptions) {
    // The name has the same ending as this file's, before and after compilation.
    const url = new URL(`./making-worker${import.meta.url.slice(-3)}`, import.meta.url);
    this.#thread = new Thread(url, data, toError, { limits, idleMs });
    this.#options = options;
  }

  /**
   * As `EvidenceMaker.make`.
   * @throws {EvidenceRefused}
   * @throws {InvalidArgument}
   * @throws {StoreUnavailable}
   */
  readonly make = async (order: Order): Promise<StoredBundle | undefined> => {
    const { made, heads, warnings } = await this.#thread.call(order);
    const { store, log } = this.#options;
    for (const [details, message] of warnings) log.warn(details, message);
    await store.recordHeads(heads);
    return made;
  };

  close(): Promise<void> {
    return this.#thread.close();
  }
}
