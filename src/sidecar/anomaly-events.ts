/** Sends anomalies that no record shows (bursts, silences, shifts of many records) downstream, as log records. */
import { setTimeout as sleep } from "node:timers/promises";
import { encodeAnomalyEvents } from "../anomaly/event.ts";
import type { AnomalySink } from "../anomaly/report.ts";
import { endsWithin } from "../base/deadline.ts";
import type { Exporter } from "../forward/index.ts";
import { type Anomaly, State } from "../gen/driftlock/v1/anomaly_pb.js";
import { isRetryable } from "../otlp/codes.ts";
import { ExportError } from "../otlp/protocol.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";

interface Parts {
  forwarder: Exporter;
  metrics: Metrics;
  version: string;
  log: Logger;
}

/** Maximum number of reports that wait, and that are sent at once. */
const maxWaiting = 1_000;
const maxBatch = 100;
/** The number of open anomalies whose end is sent as well. */
const maxOpen = 10_000;
/** How long to wait before another attempt, unless the downstream says so. */
const retryMs = 5_000;
/** How often a downstream that takes no logs is asked again. */
const askAgainMs = 60_000;

/**
 * Waits for the downstream like any sender: a report is kept, within bounds, until the forwarder has accepted it.
 * A downstream that takes no logs receives nothing.
 */
export class AnomalyEvents {
  readonly #parts: Parts;
  #waiting: Anomaly[] = [];
  /** The anomalies that were sent and have not ended, oldest first. */
  readonly #open = new Set<string>();
  #running: Promise<void> | undefined;
  readonly #closing = new AbortController();
  /** When the downstream took no logs, by a monotonic clock. */
  #refusedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  readonly offer: AnomalySink = ({ message }) => {
    if (!this.#concerns(message)) return;
    // The excerpts are the largest part and are not sent.
    const { excerpts, ...report } = message;
    this.#waiting.push(report);
    this.#trim();
    this.#running ??= this.#run();
  };

  /** Sends what waits, for at most so long. */
  async close(ms: number): Promise<void> {
    if (this.#running !== undefined) await endsWithin(ms, this.#running);
    this.#closing.abort();
    const { log } = this.#parts;
    const left = this.#waiting.length;
    if (left > 0) log.error({ anomalies: left }, "forward: anomalies were not sent before the end");
    this.#drop(left);
  }

  /** Whether no record shows the anomaly, or shows that it is over. */
  #concerns({ id, tenant, record, state }: Anomaly): boolean {
    const key = `${tenant}\0${id}`;
    if (state === State.ENDED) return this.#open.delete(key);
    if (record !== undefined) return false;
    this.#open.add(key);
    if (this.#open.size > maxOpen) this.#open.delete(this.#open.values().next().value!);
    return true;
  }

  async #run(): Promise<void> {
    // The reports of a request come one after the other.
    await Promise.resolve();
    while (this.#waiting.length > 0 && !this.#closing.signal.aborted) {
      const batch = this.#waiting.splice(0, maxBatch);
      const againMs = await this.#send(batch);
      if (againMs === undefined) continue;
      this.#waiting.unshift(...batch);
      this.#trim();
      await sleep(againMs, undefined, { ref: false, signal: this.#closing.signal }).catch(() => {});
    }
    this.#running = undefined;
  }

  /** Resolves to the time after which to try again, if the batch must be kept. */
  async #send(batch: readonly Anomaly[]): Promise<number | undefined> {
    const { forwarder, metrics, version, log } = this.#parts;
    if (!(await this.#taken())) {
      this.#drop(batch.length);
      return undefined;
    }
    try {
      const body = encodeAnomalyEvents(batch, version, BigInt(Date.now()) * 1_000_000n);
      await forwarder.export("logs", body, this.#closing.signal);
      metrics.forward.anomalyEvents.inc({ result: "forwarded" }, batch.length);
    } catch (error) {
      if (error instanceof ExportError && isRetryable(error.code, error.retryAfterMs)) {
        return error.retryAfterMs ?? retryMs;
      }
      log.error({ err: error, anomalies: batch.length }, "forward: anomalies could not be sent");
      this.#drop(batch.length);
    }
    return undefined;
  }

  /** Whether the downstream takes logs, which one that is used for other signals need not. */
  async #taken(): Promise<boolean> {
    if (performance.now() - this.#refusedAt < askAgainMs) return false;
    if (await this.#parts.forwarder.takes("logs")) return true;
    this.#refusedAt = performance.now();
    this.#parts.log.warn(
      "forward: the downstream takes no logs, so that anomalies without a record do not reach it; let it take logs, or set forward.anomaly_events to false",
    );
    return false;
  }

  #trim(): void {
    const excess = this.#waiting.length - maxWaiting;
    if (excess <= 0) return;
    this.#waiting.splice(0, excess);
    this.#drop(excess);
  }

  #drop(count: number): void {
    if (count > 0) this.#parts.metrics.forward.anomalyEvents.inc({ result: "dropped" }, count);
  }
}
