/** Keeps what streams have learned in a file over restarts. */
import { webcrypto } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Config, DetectConfig } from "../config/schema.ts";
import type { Engine } from "./engine.ts";

/** The version of the file format. It is raised whenever the bytes of a snapshot change their meaning. */
const format = 6;
const magic = "driftlock-engine-snapshot";

const maxHeaderSize = 64 * 2 ** 10;
const maxSize = 2 ** 30;

/** Returns the settings that baselines depend on. A snapshot under other settings cannot be used. */
function snapshotSettings(detect: DetectConfig, keyFingerprint: string): Record<string, unknown> {
  return {
    "detect.stream_by": detect.stream_by,
    "detect.baseline.records": detect.baseline.records,
    "detect.baseline.dictionary_size": detect.baseline.dictionary_size,
    "detect.window.records": detect.window.records,
    "detect.window.hop": detect.window.hop,
    "detect.seed": detect.seed,
    "the fingerprint of the hash key": keyFingerprint,
  };
}

interface Header {
  magic: string;
  format: number;
  savedAt: string;
  settings: Record<string, unknown>;
  size: number;
  sha256: string;
}

/** Hashes off the event loop, because a snapshot may have hundreds of megabytes. */
async function sha256(bytes: Buffer): Promise<string> {
  return Buffer.from(await webcrypto.subtle.digest("SHA-256", bytes)).toString("hex");
}

/** What became of loading a snapshot. */
export type SnapshotLoad =
  | { kind: "restored"; savedAt: string }
  /** There is no file yet. */
  | { kind: "none" }
  /** The file cannot be used; `reason` says why, for people. */
  | { kind: "refused"; reason: string };

/** The file `engine.snapshot` in `data_dir`: one line of JSON that describes it, then the engine's bytes. */
export class SnapshotFile {
  readonly path: string;
  readonly #detect: DetectConfig;
  #saving: Promise<void> | undefined;

  constructor({ data_dir, detect }: Pick<Config, "data_dir" | "detect">) {
    this.path = join(data_dir, "engine.snapshot");
    this.#detect = detect;
  }

  /**
   * Restores an engine that has judged nothing yet.
   * @throws {Error} of the file system, unless the file is missing.
   */
  async load(engine: Engine): Promise<SnapshotLoad> {
    const file = await open(this.path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (file === undefined) return { kind: "none" };
    try {
      const { size } = await file.stat();
      if (size > maxSize + maxHeaderSize)
        return { kind: "refused", reason: `it is larger than ${maxSize} bytes` };
      const bytes = await file.readFile();
      const lineEnd = bytes.subarray(0, maxHeaderSize).indexOf(0x0a);
      const header = parseHeader(bytes.subarray(0, Math.max(0, lineEnd)));
      if (header === undefined) return { kind: "refused", reason: "it is not an engine's snapshot" };
      if (header.format !== format) {
        return { kind: "refused", reason: `its format is ${header.format}, this version reads ${format}` };
      }
      const changed = changes(header.settings, this.#settings(engine));
      if (changed.length > 0) return { kind: "refused", reason: changed.join("; ") };
      const body = bytes.subarray(lineEnd + 1);
      if (body.length !== header.size || (await sha256(body)) !== header.sha256) {
        return { kind: "refused", reason: "it is damaged" };
      }
      if (!engine.restore(body)) return { kind: "refused", reason: "the engine does not know its bytes" };
      return { kind: "restored", savedAt: header.savedAt };
    } finally {
      await file.close();
    }
  }

  /**
   * Saves what the engine has learned. The file is the old or the new one, never a part. Calls that overlap share one run.
   * @throws {Error} of the file system, or if the snapshot is larger than 1 GiB; the old file stays.
   */
  save(engine: Engine): Promise<void> {
    this.#saving ??= this.#save(engine).finally(() => {
      this.#saving = undefined;
    });
    return this.#saving;
  }

  /** Resolves once nothing is being saved, whether that succeeded or not. */
  async saved(): Promise<void> {
    await this.#saving?.catch(() => undefined);
  }

  async #save(engine: Engine): Promise<void> {
    const body = await engine.snapshot();
    if (body.length > maxSize) {
      throw new Error(
        `${body.length} bytes are more than the ${maxSize} a snapshot may have: lower detect.max_streams`,
      );
    }
    const header: Header = {
      magic,
      format,
      savedAt: new Date().toISOString(),
      settings: this.#settings(engine),
      size: body.length,
      sha256: await sha256(body),
    };
    await mkdir(dirname(this.path), { recursive: true });
    const temporary = `${this.path}.tmp`;
    try {
      // It contains pieces of records, so only this user may read it.
      const file = await open(temporary, "w", 0o600);
      try {
        await file.writeFile(`${JSON.stringify(header)}\n`);
        await file.writeFile(body);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, this.path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await syncDirectory(dirname(this.path));
  }

  #settings(engine: Engine): Record<string, unknown> {
    return snapshotSettings(this.#detect, engine.keyFingerprint);
  }
}

function changes(before: Record<string, unknown>, now: Record<string, unknown>): string[] {
  return Object.entries(now)
    .map(([key, value]) => [key, JSON.stringify(before[key]), JSON.stringify(value)] as const)
    .filter(([, then, value]) => then !== value)
    .map(([key, then, value]) => `${key} was ${then} and is ${value}`);
}

function parseHeader(line: Buffer): Header | undefined {
  try {
    const header: Header = JSON.parse(line.toString("utf8"));
    return header?.magic === magic && typeof header.settings === "object" && header.settings !== null
      ? header
      : undefined;
  } catch {
    return undefined;
  }
}

/** Makes a rename survive a loss of power, if the system can. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
