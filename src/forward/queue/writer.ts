import { type FileHandle, open, stat } from "node:fs/promises";
import type { ForwardConfig } from "../../config/schema.ts";
import { type Segment, segmentPath } from "./segment.ts";

export type Sync = ForwardConfig["queue"]["disk"]["sync"];

/** A file or folder of the queue is no longer found at its path. */
export class Displaced extends Error {
  constructor(path: string) {
    super(`${path} has been removed or replaced; put it back, or restart Driftlock`);
  }
}

/** Appends to one segment at a time. One call at a time. */
export class SegmentWriter {
  readonly #path: string;
  readonly #folder: FileHandle;
  readonly #sync: Sync;
  #active: { segment: Segment; file: FileHandle } | undefined;
  #dirty = false;

  /** @param path of the folder that holds the segments. */
  static async open(path: string, sync: Sync): Promise<SegmentWriter> {
    return new SegmentWriter(path, await open(path), sync);
  }

  private constructor(path: string, folder: FileHandle, sync: Sync) {
    this.#path = path;
    this.#folder = folder;
    this.#sync = sync;
  }

  /** That which `append` would write to. */
  get active(): Segment | undefined {
    return this.#active?.segment;
  }

  /** A new segment, which starts at the position `start` and has nothing in it. */
  async open(start: number): Promise<Segment> {
    const path = segmentPath(this.#path, start);
    const segment = { path, start, end: start };
    await checkInPlace(this.#path, this.#folder);
    const file = await open(path, "w", 0o600);
    try {
      // A file is safe only when its name is.
      if (this.#sync !== "off") await this.#folder.sync();
    } catch (error) {
      await file.close();
      throw error;
    }
    this.#active = { segment, file };
    return segment;
  }

  /**
   * Resolves once the bytes are as safe as `sync` asks. When it rejects none of them counts, and the segment takes no more:
   * what a device keeps after a failed flush is unknown. It rejects as well if the segment is no longer found at its path: the
   * bytes would go with the file that has been removed, or stay where no later process looks for them.
   */
  async append(buffers: Buffer[], size: number): Promise<void> {
    const { segment, file } = this.#active!;
    const offset = segment.end - segment.start;
    try {
      const { bytesWritten } = await file.writev(buffers, offset);
      if (bytesWritten < size) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
      if (this.#sync === "always") await file.datasync();
      else this.#dirty = this.#sync === "interval";
      await checkInPlace(segment.path, file);
    } catch (error) {
      await file.truncate(offset).catch(() => {});
      await this.seal().catch(() => {});
      throw error;
    }
    segment.end += size;
  }

  /** Flushes what `sync: interval` has left. */
  async flush(): Promise<void> {
    if (!this.#dirty) return;
    this.#dirty = false;
    await this.#active?.file.datasync();
  }

  async close(): Promise<void> {
    try {
      await this.seal();
    } finally {
      await this.#folder.close();
    }
  }

  /** The segment takes no more. */
  async seal(): Promise<void> {
    const active = this.#active;
    if (!active) return;
    try {
      await this.flush();
    } finally {
      this.#active = undefined;
      await active.file.close();
    }
  }
}

/** @throws {Displaced} if what `handle` has open is no longer found at `path`. */
async function checkInPlace(path: string, handle: FileHandle): Promise<void> {
  const [found, held] = await Promise.all([stat(path).catch(() => undefined), handle.stat()]);
  if (found?.ino === held.ino && found.dev === held.dev) return;
  throw new Displaced(path);
}
