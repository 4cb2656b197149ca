import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { BaseLogger } from "pino";
import { lockFolder, lockPath } from "./lock.ts";
import { makeDataDir } from "./make.ts";

/** How often the folder is looked at. */
const lookMs = 1_000;

/**
 * The folder `data_dir`, for one process at a time. A folder or file that is removed, or replaced by another, under a running
 * process takes with it what is written to it, and no write fails: this notices, and says so.
 */
export class DataDir {
  readonly path: string;
  readonly #log: BaseLogger;
  readonly #unlock: () => void;
  /** Files that the process keeps open, so that no other file can have the same identity. The first is the lock. */
  readonly #watched: { path: string; identity: string }[] = [];
  readonly #timer: NodeJS.Timeout;
  /** Of the folder itself. One that replaces it may have the same: nothing holds it open. */
  #identity: string | undefined;
  #fault: string | undefined;
  #looking: Promise<boolean> | undefined;

  /** @throws {Error} that names the key and the remedy, also if another process uses the folder. */
  static async open(path: string, log: BaseLogger): Promise<DataDir> {
    makeDataDir(path);
    const dataDir = new DataDir(path, log, await lockFolder(path));
    await dataDir.#watch(lockPath(path));
    dataDir.#identity = await identityOf(path);
    return dataDir;
  }

  private constructor(path: string, log: BaseLogger, unlock: () => void) {
    this.path = path;
    this.#log = log;
    this.#unlock = unlock;
    this.#timer = setInterval(() => void this.look(), lookMs).unref();
  }

  /** What has been removed or replaced, as far as is known, and the remedy. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Has a file of the folder looked at as well, which is there and which the process keeps open. */
  watch(name: string): Promise<void> {
    return this.#watch(join(this.path, name));
  }

  /** Whether the folder is still the one that was locked. Calls that overlap share one look. */
  look(): Promise<boolean> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#unlock();
  }

  async #watch(path: string): Promise<void> {
    const identity = await identityOf(path);
    if (identity !== undefined) this.#watched.push({ path, identity });
  }

  async #look(): Promise<boolean> {
    const lost: string[] = [];
    for (const { path, identity } of [...this.#watched]) {
      if ((await identityOf(path)) !== identity) lost.push(path);
    }
    const lock = lockPath(this.path);
    const present = !lost.includes(lock);
    const moved = !present && (await identityOf(this.path)) !== this.#identity;
    const what = moved ? this.path : present ? lost[0] : lock;
    const fault = what && `${what} has been removed or replaced; put it back, or restart Driftlock`;
    if (fault !== this.#fault) {
      this.#fault = fault;
      if (fault) this.#log.error({ path: what }, `data_dir: ${fault}; its content is lost or out of reach`);
      else this.#log.info({ path: this.path }, "data_dir: all files are in place again");
    }
    return present;
  }
}

async function identityOf(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found && `${found.dev}:${found.ino}`;
}
