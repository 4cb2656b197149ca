import type { BaseLogger } from "pino";
import type { ForwardConfig } from "../config/schema.ts";
import { Code, type Signal, signals } from "../otlp/protocol.ts";
import { Circuit, type Verdict } from "./circuit.ts";
import { createTransport } from "./transport/create.ts";
import type { Names } from "./transport/names.ts";
import type { Outcome, Transport } from "./transport/transport.ts";

interface Way {
  endpoint: string;
  transport: Transport;
  /** A downstream may not take one signal, and take the others. */
  circuits: Readonly<Record<Signal, Circuit>>;
  /** How the last attempt that it did not answer ended. */
  failure: string;
}

const nothing = Buffer.alloc(0);

export function endpoints({ endpoint, failover_endpoints }: ForwardConfig): string[] {
  return [endpoint, ...failover_endpoints];
}

/** The ways to the downstream: the first that answers takes a request, in the order of the configuration. */
export class Failover implements Transport {
  readonly #log: BaseLogger;
  readonly #ways: Way[];

  constructor(config: ForwardConfig, log: BaseLogger, names: Names) {
    const { initial_interval, max_interval } = config.retry;
    this.#log = log;
    this.#ways = endpoints(config).map((endpoint) => ({
      endpoint,
      transport: createTransport({ ...config, endpoint }, log, names),
      circuits: {
        logs: new Circuit(initial_interval, max_interval),
        traces: new Circuit(initial_interval, max_interval),
        metrics: new Circuit(initial_interval, max_interval),
      },
      failure: "",
    }));
  }

  /** One attempt; where an endpoint does not answer the next has what is left of the time. */
  async send(signal: Signal, body: Buffer, timeoutMs: number, abort: AbortSignal): Promise<Outcome> {
    const deadline = performance.now() + timeoutMs;
    let outcome: Outcome | undefined;
    for (const way of this.#ways) {
      const left = Math.ceil(deadline - performance.now());
      if (outcome && left <= 0) break;
      const circuit = way.circuits[signal];
      const end = circuit.enter();
      if (!end) continue;
      try {
        outcome = await way.transport.send(signal, body, left, abort);
        this.#note(signal, way, outcome, end, abort);
      } catch (error) {
        end("unknown");
        throw error;
      }
      if (abort.aborted || verdict(outcome) === "alive") return this.#name(way, outcome);
      outcome = this.#name(way, outcome);
    }
    return outcome ?? this.#resting();
  }

  /** Asks all of them at once with an empty request, whatever their circuits: the best that comes of it. */
  async probe(signal: Signal, timeoutMs: number, abort: AbortSignal): Promise<Outcome> {
    const outcomes = await Promise.all(
      this.#ways.map(async (way) => {
        const outcome = await way.transport.send(signal, nothing, timeoutMs, abort);
        if (verdict(outcome) === "alive") for (const name of signals) way.circuits[name].wake();
        return this.#name(way, outcome);
      }),
    );
    return (
      outcomes.find(({ code }) => code === Code.OK) ??
      outcomes.find((outcome) => verdict(outcome) === "alive") ??
      outcomes[0]!
    );
  }

  close(): void {
    for (const { transport } of this.#ways) transport.close();
  }

  #note(
    signal: Signal,
    way: Way,
    outcome: Outcome,
    end: (verdict: Verdict) => void,
    abort: AbortSignal,
  ): void {
    const { endpoint } = way;
    const circuit = way.circuits[signal];
    const before = circuit.open;
    const said = abort.aborted ? "unknown" : verdict(outcome);
    if (said === "dead") way.failure = outcome.message;
    end(said);
    if (circuit.open === before) return;
    if (before) this.#log.info({ endpoint, signal }, "forward: the endpoint responds again");
    else
      this.#log.warn(
        { endpoint, signal, last: outcome.message },
        "forward: the endpoint does not respond and is skipped for now",
      );
  }

  /** Where there are several, an outcome says whose it is. */
  #name({ endpoint }: Way, outcome: Outcome): Outcome {
    if (this.#ways.length === 1 || !outcome.message) return outcome;
    return { ...outcome, message: `${endpoint}: ${outcome.message}` };
  }

  #resting(): Outcome {
    const way = this.#ways[0]!;
    const message = `UNAVAILABLE: left alone for a moment after failures; the last: ${way.failure}`;
    return this.#name(way, { code: Code.UNAVAILABLE, message });
  }
}

/** One that asks to wait is alive; of one that does not look at a request nothing is known. */
function verdict({ code, retryAfterMs, unprocessed }: Outcome): Verdict {
  if (unprocessed) return "unknown";
  const silent = code === Code.UNAVAILABLE || code === Code.DEADLINE_EXCEEDED;
  return silent && retryAfterMs === undefined ? "dead" : "alive";
}
