/** Keeps what the former of incidents holds in the file `incidents.state` of `data_dir`, so that a restart continues open incidents. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../base/replace-file.ts";
import type { DataDir } from "../data-dir/data-dir.ts";
import type { IncidentFormer } from "../incidents/former.ts";
import type { Logger } from "../telemetry/log.ts";

/** Keeps what a former holds. */
export interface FormerState {
  /** Restores what was saved last, before the first page. */
  load(): Promise<void>;
  /** Saves the state as it is now, after earlier saves. It never fails. */
  save(): Promise<void>;
  /** How long it took to pack the state that was saved last, in milliseconds. */
  readonly packingMs: number;
}

export class IncidentState implements FormerState {
  readonly #path: string;
  readonly #former: IncidentFormer;
  readonly #dataDir: DataDir;
  readonly #log: Logger;
  #saving: Promise<void> = Promise.resolve();
  #failing = false;
  /** How long it took to pack the state that was saved last, in milliseconds. */
  packingMs = 0;

  constructor(former: IncidentFormer, dataDir: DataDir, log: Logger) {
    this.#path = join(dataDir.path, "incidents.state");
    this.#former = former;
    this.#dataDir = dataDir;
    this.#log = log;
  }

  /** Restores what was saved last, before the first page. */
  async load(): Promise<void> {
    const path = this.#path;
    const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (bytes === undefined) return;
    if (this.#former.restore(bytes)) {
      this.#log.info({ path, open: this.#former.stats().open }, "incidents continue from their last state");
    } else {
      const reason = "it is damaged, or another version of Driftlock wrote it";
      this.#log.warn(
        { path, reason },
        "incidents begin anew: their state cannot be used and will be replaced",
      );
    }
  }

  /**
   * Saves the state as it is now, after earlier saves. It never fails: what is formed meanwhile matters more than what a restart
   * would find.
   */
  save(): Promise<void> {
    const start = performance.now();
    const body = this.#former.snapshot();
    this.packingMs = performance.now() - start;
    this.#saving = this.#saving.then(() => this.#save(body));
    return this.#saving;
  }

  async #save(body: Buffer): Promise<void> {
    try {
      // If data_dir has been replaced, saving would overwrite the state of another process.
      if (!(await this.#dataDir.check())) throw new Error(this.#dataDir.fault);
      await replaceFile(this.#path, [body]);
      this.#failing = false;
    } catch (err) {
      if (!this.#failing) {
        this.#log.error({ err, path: this.#path }, "the state of incidents could not be saved");
      }
      this.#failing = true;
    }
  }
}
