import type { BaseLogger } from "pino";
import { Code, type Signal, signals } from "../otlp/protocol.ts";
import type { Outcome } from "./transport/transport.ts";

/** Sends nothing as an Export request, which OTLP has a server answer with success. */
export type Probe = (signal: Signal, timeoutMs: number, abort: AbortSignal) => Promise<Outcome>;

const tickMs = 1_000;
/** Silence from the downstream that a probe breaks. */
const silenceMs = 1_500;
const probeTimeoutMs = 2_000;
/** After this time without a good answer the pipeline is dead, which has to be known within 5 s. */
const deadMs = 4_000;
/** For this long, a failed request counts for more than the probes: a downstream may accept only empty requests. */
const trafficWeighsMs = 10_000;

export interface LastError {
  code: Code;
  message: string;
  at: Date;
}

/**
 * Whether the downstream works, by its answers alone: a good one within the last 4 s. The traffic's own answers serve;
 * in silence an empty request asks, so that a pipeline is seen to die and to recover with or without traffic.
 */
export class Health {
  readonly #probe: Probe;
  readonly #log: BaseLogger;
  readonly #abort = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #signal: Signal = signals[0];
  #lastGood = Number.NEGATIVE_INFINITY;
  #trafficFailed = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #lastError: LastError | undefined;
  #asking: Promise<boolean> | undefined;
  #reported: boolean | undefined;

  constructor(probe: Probe, log: BaseLogger) {
    this.#probe = probe;
    this.#log = log;
    this.#timer = setInterval(() => this.#tick(), tickMs).unref();
    void this.ask();
  }

  get healthy(): boolean {
    return performance.now() - this.#lastGood < deadMs;
  }

  /** Failures since the last good answer. */
  get failures(): number {
    return this.#failures;
  }

  get lastError(): LastError | undefined {
    return this.#lastError;
  }

  /** What came of a real request. */
  record(outcome: Outcome): void {
    if (outcome.unprocessed) return;
    this.#trafficFailed = isGood(outcome) ? Number.NEGATIVE_INFINITY : performance.now();
    this.#note(outcome);
  }

  #note(outcome: Outcome): void {
    if (!isGood(outcome)) {
      this.#failures++;
      this.#lastError = { code: outcome.code, message: outcome.message, at: new Date() };
    } else if (performance.now() - this.#trafficFailed >= trafficWeighsMs) {
      this.#failures = 0;
      this.#lastGood = performance.now();
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#abort.abort();
  }

  #tick(): void {
    if (performance.now() - this.#lastGood >= silenceMs) void this.ask();
    const healthy = this.healthy;
    if (healthy === this.#reported) return;
    this.#reported = healthy;
    if (healthy) this.#log.info("forward: the downstream responds");
    else
      this.#log.error(
        { last: this.#lastError },
        "forward: the downstream does not respond, or rejects requests",
      );
  }

  /** Whether an empty request was answered well just now. */
  ask(): Promise<boolean> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<boolean> {
    // A downstream need not take every signal; one that it takes is enough.
    let outcome: Outcome | undefined;
    for (const signal of [this.#signal, ...signals.filter((other) => other !== this.#signal)]) {
      outcome = await this.#probe(signal, probeTimeoutMs, this.#abort.signal);
      if (this.#abort.signal.aborted) return false;
      if (outcome.code !== Code.UNIMPLEMENTED && outcome.code !== Code.PERMISSION_DENIED) {
        this.#signal = signal;
        break;
      }
    }
    this.#note(outcome!);
    return isGood(outcome!);
  }
}

/** An answer of a downstream that works, even where it does not like this one request. */
export function isGood({ code, retryAfterMs }: { code: Code; retryAfterMs?: number | undefined }): boolean {
  if (code === Code.OK || code === Code.INVALID_ARGUMENT) return true;
  return code === Code.RESOURCE_EXHAUSTED && retryAfterMs === undefined;
}
