import { type FileHandle, open } from "node:fs/promises";
import type { Signal } from "../../otlp/protocol.ts";
import { findFrame, frameSize, headerSize, readFrame } from "./frame.ts";
import type { Segment } from "./segment.ts";

/** Read at once: many small requests, or the beginning of a large one. */
const chunkSize = 2 ** 20;

/** Frames that turn out damaged before the rest of a segment is given up; each may cost a look at all the rest. */
const maxDamaged = 100;

export interface Found {
  signal: Signal;
  body: Buffer;
  /** Positions. */
  start: number;
  end: number;
}

/** Reads frames in order, and passes over what is none. */
export class SegmentReader {
  #file: { path: string; handle: FileHandle } | undefined;
  #chunk: { start: number; bytes: Buffer } = { start: 0, bytes: Buffer.alloc(0) };

  /**
   * The next frame of the segment at or after the position `from`; undefined where there is none.
   * Rejects where the file cannot be read.
   */
  async next(segment: Segment, from: number): Promise<Found | undefined> {
    let position = from;
    let damaged = 0;
    while (segment.end - position >= headerSize && damaged < maxDamaged) {
      const size = frameSize(await this.#read(segment, position, headerSize));
      if (size !== undefined && size <= segment.end - position) {
        const frame = readFrame(await this.#read(segment, position, size));
        if (frame) return { ...frame, start: position, end: position + size };
      }
      if (size !== undefined) damaged++;
      position = await this.#find(segment, position + 1);
    }
    return undefined;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#chunk = { start: 0, bytes: Buffer.alloc(0) };
    await file?.handle.close();
  }

  /** The first place from `position` on at which a frame may start. */
  async #find(segment: Segment, position: number): Promise<number> {
    let at = position;
    while (segment.end - at >= headerSize) {
      const bytes = await this.#read(segment, at, Math.min(chunkSize, segment.end - at));
      const found = findFrame(bytes, 0);
      if (found < bytes.length) return at + found;
      // The magic may lie across the border.
      at += bytes.length - 3;
    }
    return segment.end;
  }

  /** `size` bytes at a position, which lie within the segment; valid whatever is read later. */
  async #read(segment: Segment, position: number, size: number): Promise<Buffer> {
    if (this.#file?.path !== segment.path) {
      await this.close();
      this.#file = { path: segment.path, handle: await open(segment.path) };
    }
    let offset = position - this.#chunk.start;
    if (offset < 0 || offset + size > this.#chunk.bytes.length) {
      const wanted = Math.max(size, Math.min(chunkSize, segment.end - position));
      const bytes = Buffer.allocUnsafeSlow(wanted);
      const { bytesRead } = await this.#file!.handle.read(bytes, 0, wanted, position - segment.start);
      if (bytesRead < wanted) throw new Error(`${segment.path} has lost bytes that it had`);
      this.#chunk = { start: position, bytes };
      offset = 0;
    }
    return this.#chunk.bytes.subarray(offset, offset + size);
  }
}
