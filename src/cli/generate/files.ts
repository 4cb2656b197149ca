import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import type { Batch } from "../../generate/shop-telemetry.ts";
import type { Signal } from "../../otlp/protocol.ts";
import type { Sink, Tally } from "./sink.ts";

/** Writes requests to a file, each behind its length in 4 bytes, big-endian. `%s` in `pattern` stands for the signal. */
export function writeTo(pattern: string, signals: readonly Signal[], tally: Tally): Sink {
  const files = new Map<Signal, { stream: WriteStream; done: Promise<void> }>();
  for (const signal of signals) {
    const stream = createWriteStream(pattern.replaceAll("%s", signal));
    const done = finished(stream);
    // Awaited by `close`; a failure before that must not be an unhandled one.
    done.catch(() => {});
    files.set(signal, { stream, done });
  }
  return {
    async write({ signal, body, truths }: Batch) {
      const { stream, done } = files.get(signal)!;
      if (stream.errored) throw stream.errored;
      const length = Buffer.alloc(4);
      length.writeUInt32BE(body.length);
      stream.write(length);
      if (!stream.write(body)) await Promise.race([once(stream, "drain"), done]);
      tally.requests++;
      tally.records += truths.length;
      tally.bytes += body.length + length.length;
    },
    async close() {
      for (const { stream } of files.values()) stream.end();
      await Promise.all([...files.values()].map(({ done }) => done));
    },
  };
}
