/** Sends the metrics of streams downstream at regular intervals. */
import type { Exporter } from "../forward/index.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { StreamMetrics } from "../telemetry/stream-metrics.ts";
import { encodeStreamMetrics, type MetricsSource } from "../telemetry/stream-metrics-otlp.ts";

interface Parts {
  forwarder: Exporter;
  metrics: Metrics;
  streams: StreamMetrics;
  source: MetricsSource;
  log: Logger;
}

/** As often as the SDKs of OpenTelemetry export metrics. */
const defaultIntervalMs = 60_000;
const maxStreams = 1_000;

export class StreamMetricsExport {
  readonly #parts: Parts;
  readonly #timer: NodeJS.Timeout;
  readonly #closing = new AbortController();
  #running = false;
  #failing = false;

  constructor(parts: Parts, intervalMs = defaultIntervalMs) {
    this.#parts = parts;
    this.#timer = setInterval(() => void this.#export(), intervalMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#closing.abort();
  }

  /** Gives up at the first request that fails: the next interval has newer figures. */
  async #export(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    const { forwarder, metrics, streams, source } = this.#parts;
    const count = (result: "forwarded" | "dropped") => metrics.forward.streamMetrics.inc({ result });
    try {
      if (!(await forwarder.takes("metrics"))) throw new Error("the downstream takes no metrics");
      const all = [...streams.series];
      const time = BigInt(Date.now()) * 1_000_000n;
      for (let at = 0; at < all.length; at += maxStreams) {
        const body = encodeStreamMetrics(all.slice(at, at + maxStreams), source, time);
        await forwarder.export("metrics", body, this.#closing.signal);
        count("forwarded");
      }
      this.#failing = false;
    } catch (error) {
      count("dropped");
      this.#report(error as Error);
    } finally {
      this.#running = false;
    }
  }

  #report({ message }: Error): void {
    if (this.#failing || this.#closing.signal.aborted) return;
    this.#failing = true;
    this.#parts.log.warn({ reason: message }, "forward: the metrics of streams do not reach the downstream");
  }
}
