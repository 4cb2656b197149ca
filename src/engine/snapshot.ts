/** Keeps what streams have learned in a file: over restarts, or to move it to another instance. */
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../base/replace-file.ts";
import type { Config, DetectConfig } from "../config/schema.ts";
import type { Engine } from "./engine.ts";
import { fingerprintOf } from "./hash-key.ts";

/** The version of the file format. It is raised whenever the bytes of a snapshot change their meaning. */
export const snapshotFormat = 12;
const magic = "driftlock-engine-snapshot";

const maxHeaderSize = 64 * 2 ** 10;
const readAtOnce = 2 ** 20;

/** The setting that names the hash key without revealing it. */
const fingerprint = "the fingerprint of the hash key";

/** Returns the settings that what was learned depends on. Under other settings it cannot be used. */
export function snapshotSettings(detect: DetectConfig, keyFingerprint: string): Record<string, unknown> {
  return {
    "detect.stream_by": detect.stream_by,
    "detect.group_by": detect.group_by,
    "detect.instance_by": detect.instance_by,
    "detect.baseline.records": detect.baseline.records,
    "detect.baseline.dictionary_size": detect.baseline.dictionary_size,
    "detect.window.records": detect.window.records,
    "detect.window.hop": detect.window.hop,
    "detect.seed": detect.seed,
    [fingerprint]: keyFingerprint,
  };
}

interface Header {
  magic: string;
  format: number;
  savedAt: string;
  settings: Record<string, unknown>;
  /** The hash key in hexadecimal digits, if the file carries it. */
  hashKey?: string;
}

const refused = (reason: string, remedy?: string): Refusal => ({
  kind: "refused",
  reason,
  ...(remedy !== undefined && { remedy }),
});

/** What became of loading a snapshot. */
export type SnapshotLoad =
  | { kind: "restored"; savedAt: string }
  /** There is no file yet. */
  | { kind: "none" }
  | Refusal;

/** A file cannot be used. `reason` says why, and `remedy` what to do if there is a choice, for people. */
interface Refusal {
  kind: "refused";
  reason: string;
  remedy?: string;
}

/** What became of reading the header of a snapshot. */
export type SnapshotHeader =
  | {
      kind: "known";
      savedAt: string;
      /** The key that the streams hash with; undefined if the file does not carry it. */
      hashKey: Buffer | undefined;
    }
  | { kind: "none" }
  | Refusal;

/**
 * A file with what an engine has learned: one line of JSON that describes it, then the records of the engine, which hold a digest
 * of all. It is written and read in pieces, so that it may be larger than the memory that is left. By default it is the
 * file `engine.snapshot` in `data_dir`. A file that moves between instances carries the hash key as well.
 */
export class SnapshotFile {
  readonly path: string;
  readonly #detect: DetectConfig;
  #saving: Promise<void> | undefined;

  constructor(
    { data_dir, detect }: Pick<Config, "data_dir" | "detect">,
    path = join(data_dir, "engine.snapshot"),
  ) {
    this.path = path;
    this.#detect = detect;
  }

  /**
   * Reads when the file was saved, and the key that it carries.
   * @throws {Error} of the file system, unless the file is missing.
   */
  async header(): Promise<SnapshotHeader> {
    const file = await this.#open();
    if (file === undefined) return { kind: "none" };
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(maxHeaderSize), 0, maxHeaderSize, 0);
      const found = readHeader(buffer.subarray(0, bytesRead));
      if (found.kind === "refused") return found;
      const { savedAt, hashKey } = found.header;
      return {
        kind: "known",
        savedAt,
        hashKey: hashKey === undefined ? undefined : Buffer.from(hashKey, "hex"),
      };
    } finally {
      await file.close();
    }
  }

  /**
   * Restores an engine that has judged nothing yet.
   * @throws {Error} of the file system, unless the file is missing.
   */
  async load(engine: Engine): Promise<SnapshotLoad> {
    const file = await this.#open();
    if (file === undefined) return { kind: "none" };
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(maxHeaderSize), 0, maxHeaderSize, 0);
      const found = readHeader(buffer.subarray(0, bytesRead));
      if (found.kind === "refused") return found;
      const { header, bodyAt } = found;
      const changed = settingsChanges(header.settings, this.#settings(engine));
      if (changed.length > 0) {
        return refused(changed.join("; "), "give each key its former value, or learn again");
      }
      const body = file.createReadStream({ start: bodyAt, highWaterMark: readAtOnce, autoClose: false });
      const restored = await engine.restorePieces(body);
      return restored.kind === "refused"
        ? refused(restored.reason)
        : { kind: "restored", savedAt: header.savedAt };
    } finally {
      await file.close();
    }
  }

  /**
   * Saves what the engine has learned. The file is the old or the new one, never a part. Calls that overlap share one run.
   * @param hashKey the engine's key, if the file is to carry it, so that another instance can use the file.
   * @throws {Error} of the file system; the old file stays.
   */
  save(engine: Engine, hashKey?: Uint8Array): Promise<void> {
    this.#saving ??= this.#save(engine, hashKey).finally(() => {
      this.#saving = undefined;
    });
    return this.#saving;
  }

  /** Resolves once nothing is being saved, whether that succeeded or not. */
  async saved(): Promise<void> {
    await this.#saving?.catch(() => undefined);
  }

  async #save(engine: Engine, hashKey: Uint8Array | undefined): Promise<void> {
    const header: Header = {
      magic,
      format: snapshotFormat,
      savedAt: new Date().toISOString(),
      settings: this.#settings(engine),
      ...(hashKey && { hashKey: Buffer.from(hashKey).toString("hex") }),
    };
    // It contains pieces of records.
    await replaceFile(this.path, contentOf(header, engine));
  }

  async #open(): Promise<FileHandle | undefined> {
    return open(this.path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
  }

  #settings(engine: Engine): Record<string, unknown> {
    return snapshotSettings(this.#detect, engine.keyFingerprint);
  }
}

async function* contentOf(header: Header, engine: Engine): AsyncGenerator<string | Uint8Array> {
  yield `${JSON.stringify(header)}\n`;
  for await (const piece of engine.snapshotPieces()) {
    yield piece;
    // It is written. Until the next collection, all pieces together would take as much memory as the file has bytes.
    if (piece.buffer instanceof ArrayBuffer && piece.buffer.byteLength === piece.byteLength)
      piece.buffer.transfer(0);
  }
}

/** Says which settings differ, for people. */
export function settingsChanges(before: Record<string, unknown>, now: Record<string, unknown>): string[] {
  return Object.entries(now)
    .map(([key, value]) => [key, JSON.stringify(before[key]), JSON.stringify(value)] as const)
    .filter(([, then, value]) => then !== value)
    .map(([key, then, value]) => `${key} was ${then} and is ${value}`);
}

/** Reads the header at the beginning of a file's bytes. */
function readHeader(bytes: Buffer): { kind: "read"; header: Header; bodyAt: number } | Refusal {
  const lineEnd = bytes.subarray(0, maxHeaderSize).indexOf(0x0a);
  const header = parseHeader(bytes.subarray(0, Math.max(0, lineEnd)));
  if (header === undefined) return refused("it is not an engine's snapshot");
  if (header.format !== snapshotFormat) {
    const age = header.format > snapshotFormat ? "a newer" : "an older";
    return refused(
      `${age} version of Driftlock wrote it: its format is ${header.format}, this version reads ${snapshotFormat}`,
    );
  }
  const { hashKey } = header;
  if (hashKey !== undefined && !isKeyOf(hashKey, header.settings)) return refused("its hash key is damaged");
  return { kind: "read", header, bodyAt: lineEnd + 1 };
}

function isKeyOf(hashKey: unknown, settings: Record<string, unknown>): boolean {
  return (
    typeof hashKey === "string" &&
    /^[0-9a-f]{64}$/.test(hashKey) &&
    settings[fingerprint] === fingerprintOf(Buffer.from(hashKey, "hex"))
  );
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
