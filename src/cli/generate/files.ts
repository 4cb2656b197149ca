import { once } from "node:events";
import { createWriteStream, openSync, type WriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import { fileFault } from "../../base/file-fault.ts";
import type { Batch } from "../../generate/batch.ts";
import type { Signal } from "../../otlp/protocol.ts";
import type { Sink, Tally } from "./sink.ts";

/** Opens a file that an option names. @throws {Error} that names both, if it cannot be written. */
export function open(option: string, path: string): number {
  try {
    return openSync(path, "w");
  } catch (error) {
    throw new Error(`${option}: ${path}: ${fileFault(error as NodeJS.ErrnoException, "written")}`, {
      cause: error,
    });
  }
}

/**
 * Writes requests to a file, each behind its length in 4 bytes, big-endian. `%s` in `pattern` stands for the signal.
 * @throws {Error} that names the file, if it cannot be written.
 */
export function writeTo(pattern: string, signals: readonly Signal[], tally: Tally): Sink {
  const files = new Map<Signal, { stream: WriteStream; done: Promise<void> }>();
  for (const signal of signals) {
    const path = pattern.replaceAll("%s", signal);
    const stream = createWriteStream(path, { fd: open("--out", path) });
    const done = finished(stream);
    // `close` awaits it; until then, a failure must not count as unhandled.
    done.catch(() => {});
    files.set(signal, { stream, done });
  }
  return {
    async write({ signal, body, records }: Batch) {
      const { stream, done } = files.get(signal)!;
      if (stream.errored) throw stream.errored;
      const length = Buffer.alloc(4);
      length.writeUInt32BE(body.length);
      stream.write(length);
      if (!stream.write(body)) await Promise.race([once(stream, "drain"), done]);
      tally.requests++;
      tally.records += records;
      tally.bytes += body.length + length.length;
    },
    async close() {
      for (const { stream } of files.values()) stream.end();
      await Promise.all([...files.values()].map(({ done }) => done));
    },
  };
}
