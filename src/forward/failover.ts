import type { BaseLogger } from "pino";
import type { ForwardConfig } from "../config/schema.ts";
import { Code, type Signal, signals } from "../otlp/protocol.ts";
import { Circuit, type Verdict } from "./circuit.ts";
import { createTransport } from "./transport/create.ts";
import type { Names } from "./transport/names.ts";
import type { Outcome, Transport } from "./transport/transport.ts";

interface Endpoint {
  url: string;
  transport: Transport;
  /** Each signal has its own circuit, because a downstream may accept some signals and fail for another. */
  circuits: Readonly<Record<Signal, Circuit>>;
  /** How the last attempt that was not answered ended. */
  failure: string;
}

const nothing = Buffer.alloc(0);

export function endpoints({ endpoint, failover_endpoints }: ForwardConfig): string[] {
  return [endpoint, ...failover_endpoints];
}

/** Sends each request to the first endpoint that answers, in the order of the configuration. */
export class Failover implements Transport {
  readonly #log: BaseLogger;
  readonly #endpoints: Endpoint[];

  constructor(config: ForwardConfig, log: BaseLogger, names: Names) {
    const { initial_interval, max_interval } = config.retry;
    this.#log = log;
    this.#endpoints = endpoints(config).map((url) => ({
      url,
      transport: createTransport({ ...config, endpoint: url }, log, names),
      circuits: {
        logs: new Circuit(initial_interval, max_interval),
        traces: new Circuit(initial_interval, max_interval),
        metrics: new Circuit(initial_interval, max_interval),
      },
      failure: "",
    }));
  }

  /** Makes one attempt. If an endpoint does not answer, the next one gets the time that is left. */
  async send(signal: Signal, body: Buffer, timeoutMs: number, abort: AbortSignal): Promise<Outcome> {
    const deadline = performance.now() + timeoutMs;
    let outcome: Outcome | undefined;
    let bodyRead = true;
    for (const target of this.#endpoints) {
      const left = Math.ceil(deadline - performance.now());
      if (outcome && left <= 0) break;
      const circuit = target.circuits[signal];
      const end = circuit.enter();
      if (!end) continue;
      try {
        outcome = await target.transport.send(signal, body, left, abort);
        bodyRead &&= outcome.bodyRead === true;
        outcome = { ...outcome, bodyRead };
        this.#note(signal, target, outcome, end, abort);
      } catch (error) {
        end("unknown");
        throw error;
      }
      if (abort.aborted || verdict(outcome) === "alive") return this.#name(target, outcome);
      outcome = this.#name(target, outcome);
    }
    return outcome ?? this.#resting();
  }

  /** Sends an empty request to all endpoints at once, even if their circuits are open, and resolves to the best outcome. */
  async probe(signal: Signal, timeoutMs: number, abort: AbortSignal): Promise<Outcome> {
    const outcomes = await Promise.all(
      this.#endpoints.map(async (target) => {
        const outcome = await target.transport.send(signal, nothing, timeoutMs, abort);
        if (verdict(outcome) === "alive") for (const name of signals) target.circuits[name].wake();
        return this.#name(target, outcome);
      }),
    );
    return (
      outcomes.find(({ code }) => code === Code.OK) ??
      outcomes.find((outcome) => verdict(outcome) === "alive") ??
      outcomes[0]!
    );
  }

  close(): void {
    for (const { transport } of this.#endpoints) transport.close();
  }

  #note(
    signal: Signal,
    target: Endpoint,
    outcome: Outcome,
    end: (verdict: Verdict) => void,
    abort: AbortSignal,
  ): void {
    const { url: endpoint } = target;
    const circuit = target.circuits[signal];
    const before = circuit.open;
    const said = abort.aborted ? "unknown" : verdict(outcome);
    if (said === "dead") target.failure = outcome.message;
    end(said);
    if (circuit.open === before) return;
    if (before) this.#log.info({ endpoint, signal }, "forward: the endpoint responds again");
    else
      this.#log.warn(
        { endpoint, signal, last: outcome.message },
        "forward: the endpoint does not respond and is skipped for now",
      );
  }

  /** Names the endpoint in the outcome's message if there are several. */
  #name({ url }: Endpoint, outcome: Outcome): Outcome {
    if (this.#endpoints.length === 1 || !outcome.message) return outcome;
    return { ...outcome, message: `${url}: ${outcome.message}` };
  }

  #resting(): Outcome {
    const target = this.#endpoints[0]!;
    const message = `UNAVAILABLE: the endpoint is skipped for a moment after failures; the last: ${target.failure}`;
    return this.#name(target, { code: Code.UNAVAILABLE, message });
  }
}

/** An endpoint that asks to wait is alive. If it has not looked at the request, nothing is known about it. */
function verdict({ code, retryAfterMs, unprocessed }: Outcome): Verdict {
  if (unprocessed) return "unknown";
  const silent = code === Code.UNAVAILABLE || code === Code.DEADLINE_EXCEEDED;
  return silent && retryAfterMs === undefined ? "dead" : "alive";
}
