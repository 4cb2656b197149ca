import pino from "pino";
import { configSchema } from "../../config/schema.ts";
import { Forwarder } from "../../forward/index.ts";
import type { Batch } from "../../generate/shop-telemetry.ts";
import { Code, type ExportError } from "../../otlp/protocol.ts";
import type { Sink, Tally } from "./sink.ts";

interface Receiver {
  endpoint: string;
  protocol: "grpc" | "http";
}

/** Of one request, retries included; a receiver that takes nothing for so long has gone. */
const patienceMs = 60_000;

/**
 * Sends requests over OTLP. Errors that the specification calls retryable are tried again with back-off, for a minute:
 * then `write` rejects. What is refused for good is counted. `complain` is told each new reason once.
 * @param abort takes what is on its way back at once.
 */
export function sendTo(
  { endpoint, protocol }: Receiver,
  tally: Tally,
  complain: (message: string) => void,
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
      // A receiver that is not there yet, or too busy; what it refuses is told by `write`.
      if (abort.aborted || (code !== Code.UNAVAILABLE && code !== Code.DEADLINE_EXCEEDED)) return;
      say(`trying again: ${endpoint}: ${forwarder.state().lastError?.message ?? "no answer"}`);
    },
    onDelivered() {},
    onOversize() {},
    onRefusedPart() {},
    onDrop() {},
  });
  const said = new Set<string>();

  function say(message: string): void {
    const text = inOptions(message);
    // Numbers differ from one failure to the next, the reason does not.
    const reason = text.replaceAll(/\d+(\.\d+)?/g, "0");
    if (said.size >= 100 || said.has(reason)) return;
    said.add(reason);
    complain(text);
  }

  return {
    async write({ signal, body, truths }: Batch) {
      try {
        const partial = await forwarder.export(signal, body, abort);
        const rejected = Math.min(partial?.rejected ?? 0, truths.length);
        if (partial) say(`${rejected} records were refused: ${partial.message}`);
        tally.requests++;
        tally.records += truths.length - rejected;
        tally.refused += rejected;
        tally.bytes += body.length;
      } catch (error) {
        tally.refused += truths.length;
        if (abort.aborted) return;
        const { message, retryAfterMs } = error as ExportError;
        if (retryAfterMs !== undefined) throw new Error(inOptions(message));
        say(message);
      }
    },
    async close() {
      await forwarder.close(0);
    },
  };
}

/** The forwarder speaks of its configuration's keys; here they are options. */
function inOptions(message: string): string {
  return message.replaceAll(/\bforward\.(endpoint|protocol)\b/g, "--$1");
}
