import { type FileHandle, open } from "node:fs/promises";
import type { ForwardConfig } from "../../config/schema.ts";
import { type Segment, segmentPath } from "./segment.ts";

export type Sync = ForwardConfig["queue"]["disk"]["sync"];

/** Appends to one segment at a time. One call at a time. */
export class SegmentWriter {
  readonly #folder: string;
  readonly #sync: Sync;
  #active: { segment: Segment; file: FileHandle } | undefined;
  #dirty = false;

  constructor(folder: string, sync: Sync) {
    this.#folder = folder;
    this.#sync = sync;
  }

  /** That which `append` would write to. */
  get active(): Segment | undefined {
    return this.#active?.segment;
  }

  /** A new segment, which starts at the position `start` and has nothing in it. */
  async open(start: number): Promise<Segment> {
    const path = segmentPath(this.#folder, start);
    const segment = { path, start, end: start };
    const file = await open(path, "w", 0o600);
    try {
      if (this.#sync !== "off") await syncFolder(this.#folder);
    } catch (error) {
      await file.close();
      throw error;
    }
    this.#active = { segment, file };
    return segment;
  }

  /**
   * Resolves once the bytes are as safe as `sync` asks. When it rejects none of them counts, and the segment takes no more:
   * what a device keeps after a failed flush is unknown.
   */
  async append(buffers: Buffer[], size: number): Promise<void> {
    const { segment, file } = this.#active!;
    const offset = segment.end - segment.start;
    try {
      const { bytesWritten } = await file.writev(buffers, offset);
      if (bytesWritten < size) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
      if (this.#sync === "always") await file.datasync();
      else this.#dirty = this.#sync === "interval";
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

/** A file is safe only when its name is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
