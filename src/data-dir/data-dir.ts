import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { BaseLogger } from "pino";
import { lockFolder, lockPath } from "./lock.ts";
import { makeDataDir } from "./make.ts";

/** The interval between two checks of the folder. */
const checkMs = 1_000;

/**
 * The folder `data_dir`, which one process at a time can use. If the folder or one of its files is removed or replaced
 * while the process runs, everything written to it is lost although no write fails. This class detects and logs that.
 */
export class DataDir {
  readonly path: string;
  readonly #log: BaseLogger;
  readonly #unlock: () => void;
  /** Files that the process keeps open, so that no other file can have the same identity. The first is the lock. */
  readonly #watched: { path: string; identity: string }[] = [];
  readonly #timer: NodeJS.Timeout;
  /**
   * The identity of the folder itself. Since the process does not keep the folder open, another one that replaces it may
   * have the same identity.
   */
  #identity: string | undefined;
  #fault: string | undefined;
  #checking: Promise<boolean> | undefined;

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
    this.#timer = setInterval(() => void this.check(), checkMs).unref();
  }

  /** Describes what has been removed or replaced, and the remedy; undefined if nothing is known to be missing. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Checks a file of the folder as well from now on. The file must exist, and the process must keep it open. */
  watch(name: string): Promise<void> {
    return this.#watch(join(this.path, name));
  }

  /** Returns whether the folder is still the one that was locked. Concurrent calls share one check. */
  check(): Promise<boolean> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#unlock();
  }

  async #watch(path: string): Promise<void> {
    const identity = await identityOf(path);
    if (identity !== undefined) this.#watched.push({ path, identity });
  }

  async #check(): Promise<boolean> {
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
      if (fault)
        this.#log.error({ path: what }, `data_dir: ${fault}; its content is lost or cannot be reached`);
      else this.#log.info({ path: this.path }, "data_dir: all files are in place again");
    }
    return present;
  }
}

async function identityOf(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found && `${found.dev}:${found.ino}`;
}
