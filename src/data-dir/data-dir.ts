import { stat } from "node:fs/promises";
import type { BaseLogger } from "pino";
import { makeDataDir } from "./folder.ts";
import { lockFolder, lockPath } from "./lock.ts";

/** How often the folder is looked at. */
const lookMs = 1_000;

/**
 * The folder `data_dir`, for one process at a time. A folder that is removed, or replaced by another, under a running process
 * takes with it what is written to it, and no write fails: this notices, and says so.
 */
export class DataDir {
  readonly path: string;
  readonly #log: BaseLogger;
  readonly #unlock: () => void;
  readonly #identity: string | undefined;
  readonly #timer: NodeJS.Timeout;
  #present = true;
  #looking: Promise<boolean> | undefined;

  /** @throws {Error} that names the key and the remedy, also if another process uses the folder. */
  static async open(path: string, log: BaseLogger): Promise<DataDir> {
    makeDataDir(path);
    const unlock = await lockFolder(path);
    return new DataDir(path, log, unlock, await identityOf(lockPath(path)));
  }

  private constructor(path: string, log: BaseLogger, unlock: () => void, identity: string | undefined) {
    this.path = path;
    this.#log = log;
    this.#unlock = unlock;
    this.#identity = identity;
    this.#timer = setInterval(() => void this.look(), lookMs).unref();
  }

  /** Undefined while the folder is the one that was locked, as far as is known. */
  get fault(): string | undefined {
    if (this.#present) return undefined;
    return `${this.path} has been removed or replaced; put it back, or restart Driftlock`;
  }

  /** Whether the folder is still the one that was locked. Calls that overlap share one look. */
  look(): Promise<boolean> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<boolean> {
    const present = (await identityOf(lockPath(this.path))) === this.#identity;
    if (present === this.#present) return present;
    this.#present = present;
    if (present) this.#log.info({ path: this.path }, "data_dir is back");
    else
      this.#log.error({ path: this.path }, `data_dir: ${this.fault}; what was in it is lost or out of reach`);
    return present;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#unlock();
  }
}

/** Of the file at `path`; the lock keeps it open, so that no other file has the same. */
async function identityOf(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found && `${found.dev}:${found.ino}`;
}
