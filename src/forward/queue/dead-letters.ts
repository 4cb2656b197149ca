import { type FileHandle, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import type { Signal } from "../../otlp/protocol.ts";

const prefixSize = 4;

/**
 * Requests that the downstream refused for good, one file a signal, as `driftlock replay --format otlp` reads them: a length
 * of 4 bytes, big-endian, and the Export*ServiceRequest. A file that has been moved away is begun anew.
 */
export class DeadLetters {
  readonly #folder: string;
  readonly #maxSize: number;
  /** The end of each file when it was last written. As long as it is unchanged, the file need not be read. */
  readonly #ends = new Map<Signal, { inode: number; end: number }>();
  /** The last write. Writes take place one at a time. */
  #last: Promise<unknown> = Promise.resolve();

  /** @param maxSize of each file, bytes. */
  constructor(folder: string, maxSize: number) {
    this.#folder = folder;
    this.#maxSize = maxSize;
  }

  path(signal: Signal): string {
    return join(this.#folder, `${signal}.otlp`);
  }

  /** Resolves to false where the file has no room for it. Rejects where the device did not take it; nothing of it is kept. */
  add(signal: Signal, body: Buffer): Promise<boolean> {
    const added = this.#last.then(() => this.#add(signal, body));
    this.#last = added.catch(() => {});
    return added;
  }

  async #add(signal: Signal, body: Buffer): Promise<boolean> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const file = await open(this.path(signal), "a+", 0o600);
    try {
      const { ino: inode, size } = await file.stat();
      const known = this.#ends.get(signal);
      const same = known?.inode === inode && known.end === size;
      const end = same ? size : await wholeSize(file, size);
      this.#ends.set(signal, { inode, end });
      if (end + prefixSize + body.length > this.#maxSize) return false;
      await file.truncate(end);
      const prefix = Buffer.alloc(prefixSize);
      prefix.writeUInt32BE(body.length);
      try {
        const { bytesWritten } = await file.writev([prefix, body]);
        if (bytesWritten < prefixSize + body.length) throw new Error("no space left");
        await file.datasync();
      } catch (error) {
        await file.truncate(end);
        throw error;
      }
      this.#ends.set(signal, { inode, end: end + prefixSize + body.length });
      return true;
    } finally {
      await file.close();
    }
  }
}

/** Returns where the last whole letter ends. What follows it was being written when a process died. */
async function wholeSize(file: FileHandle, size: number): Promise<number> {
  const prefix = Buffer.alloc(prefixSize);
  let end = 0;
  while (size - end >= prefixSize) {
    await file.read(prefix, 0, prefixSize, end);
    const next = end + prefixSize + prefix.readUInt32BE();
    if (next > size) break;
    end = next;
  }
  return end;
}
