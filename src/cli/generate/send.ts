import pino from "pino";
import { plural } from "../../base/plural.ts";
import { configSchema } from "../../config/schema.ts";
import { Forwarder } from "../../forward/index.ts";
import type { Batch } from "../../generate/batch.ts";
import { Code, type ExportError } from "../../otlp/protocol.ts";
import type { Sink, Tally } from "./sink.ts";

interface Receiver {
  endpoint: string;
  protocol: "grpc" | "http";
}

/** Timeout of a request, including its retries. A receiver that accepts nothing for so long is gone. */
const patienceMs = 60_000;

/**
 * Sends requests over OTLP. Requests that fail with a retryable error are retried with back-off for a minute; then `write`
 * rejects. Requests that are refused for good are counted.
 * @param report receives each new reason once
 * @param abort ends the requests in flight at once
 */
export function sendTo(
  { endpoint, protocol }: Receiver,
  tally: Tally,
  report: (message: string) => void,
  abort: AbortSignal,
): Sink {
  const config = configSchema.shape.forward.parse({
    endpoint,
    protocol,
    compression: "none",
    retry: { max_elapsed_time: patienceMs },
  });
  const forwarder = new Forwarder(config, {
    log: pino({ level: "silent" }),
    onAttempt({ code }) {
      // The receiver does not listen yet or is too busy. `write` reports what it refuses.
      if (abort.aborted || (code !== Code.UNAVAILABLE && code !== Code.DEADLINE_EXCEEDED)) return;
      reportOnce(`retrying: ${endpoint}: ${forwarder.state().lastError?.message ?? "no response"}`);
    },
    onDelivered() {},
    onOversize() {},
    onRefusedPart() {},
    onDrop() {},
  });
  const reported = new Set<string>();

  function reportOnce(message: string): void {
    const text = inOptions(message);
    // Numbers differ between failures with the same reason.
    const reason = text.replaceAll(/\d+(\.\d+)?/g, "0");
    if (reported.size >= 100 || reported.has(reason)) return;
    reported.add(reason);
    report(text);
  }

  return {
    async write({ signal, body, records }: Batch) {
      try {
        const partial = await forwarder.export(signal, body, abort);
        const rejected = Math.min(partial?.rejected ?? 0, records);
        if (partial)
          reportOnce(`${plural(rejected, "record was", "records were")} refused: ${partial.message}`);
        tally.requests++;
        tally.records += records - rejected;
        tally.refused += rejected;
        tally.bytes += body.length;
      } catch (error) {
        tally.refused += records;
        if (abort.aborted) return;
        const { message, retryAfterMs } = error as ExportError;
        if (retryAfterMs !== undefined) throw new Error(inOptions(message));
        reportOnce(message);
      }
    },
    async close() {
      await forwarder.close(0);
    },
  };
}

/** Replaces the names of configuration keys in messages of the forwarder by those of options. */
function inOptions(message: string): string {
  return message.replaceAll(/\bforward\.(endpoint|protocol)\b/g, "--$1");
}
