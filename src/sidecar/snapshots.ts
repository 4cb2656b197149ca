import { endsWithin, maxTimerMs } from "../base/deadline.ts";
import type { Config } from "../config/schema.ts";
import type { DataDir } from "../data-dir/data-dir.ts";
import { type Engine, SnapshotFile } from "../engine/index.ts";
import type { Logger } from "../telemetry/log.ts";

/** Keeps what streams have learned over restarts. */
export class Snapshots {
  readonly #file: SnapshotFile;
  readonly #engine: Engine;
  readonly #dataDir: DataDir;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout | undefined;
  /** When what the engine has learned was saved, in milliseconds since 1970; undefined if it begins anew. */
  readonly savedAt: number | undefined;

  /** Restores the engine from its snapshot, then saves one every `detect.snapshot_interval`. */
  static async start(engine: Engine, config: Config, dataDir: DataDir, log: Logger): Promise<Snapshots> {
    const file = new SnapshotFile(config);
    const { path } = file;
    const loaded = await file.load(engine);
    if (loaded.kind === "restored") {
      // Nobody knows what was sent while no process was here.
      await engine.interrupt({ resumes: true });
      const { streams } = engine.stats();
      log.info({ path, streams, saved_at: loaded.savedAt }, "streams continue from their snapshot");
    } else if (loaded.kind === "refused") {
      const { reason } = loaded;
      log.warn({ path, reason }, "streams learn again: the snapshot cannot be used and will be replaced");
    }
    const savedAt = loaded.kind === "restored" ? Date.parse(loaded.savedAt) : undefined;
    return new Snapshots({ file, engine, dataDir, log }, savedAt, config.detect.snapshot_interval);
  }

  private constructor(
    { file, engine, dataDir, log }: { file: SnapshotFile; engine: Engine; dataDir: DataDir; log: Logger },
    savedAt: number | undefined,
    intervalMs: number,
  ) {
    this.savedAt = savedAt;
    this.#file = file;
    this.#engine = engine;
    this.#dataDir = dataDir;
    this.#log = log;
    if (intervalMs > 0) {
      this.#timer = setInterval(() => void this.#save(), Math.min(intervalMs, maxTimerMs)).unref();
    }
  }

  /** Saves no more snapshots. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Saves the last snapshot, for at most `maxMs`. */
  async close(maxMs: number): Promise<void> {
    this.stop();
    if (
      await endsWithin(
        maxMs,
        this.#file.saved().then(() => this.#save()),
      )
    )
      return;
    this.#log.error(
      { path: this.#file.path },
      "shutdown_timeout leaves too little time to save what streams have learned: their last snapshot stands",
    );
  }

  async #save(): Promise<void> {
    const { path } = this.#file;
    // If data_dir has been replaced, saving would overwrite what another process has learned.
    if (!(await this.#dataDir.check())) {
      this.#log.error({ path }, `what streams learned is not saved: ${this.#dataDir.fault}`);
      return;
    }
    await this.#file
      .save(this.#engine)
      .catch((err) => this.#log.error({ err, path }, "what streams learned could not be saved"));
  }
}
