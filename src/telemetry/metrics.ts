/**
 * Driftlock's own metrics. Labels are bounded: signals, transports, codes and channels; never a tenant or a stream.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { EngineStats } from "../native.ts";
import { Code, type Signal, signals } from "../otlp.ts";
import type { Versions } from "./version.ts";

export type Transport = "grpc" | "http";
export const transports = ["grpc", "http"] as const;

/** Seconds: from what the engine takes for a small request to what a retried delivery takes. */
const latencyBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const codeNames: ReadonlyMap<number, string> = new Map(
  Object.entries(Code).map(([name, code]) => [code, name]),
);

/** The name of a status code, as in `UNAVAILABLE`; one name for all that Driftlock does not know. */
export function codeName(code: number): string {
  return codeNames.get(code) ?? "OTHER";
}

/** What is read when the metrics are. */
export interface Gauges {
  engine(): EngineStats | undefined;
  /** Bytes that wait or are on their way downstream. */
  queueBytes(): number;
}

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics(versions: Versions) {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter({ name: `driftlock_${name}`, help, labelNames, registers });
  const histogram = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Histogram({ name: `driftlock_${name}`, help, labelNames, buckets: latencyBuckets, registers });

  const build = new Gauge({
    name: "driftlock_build_info",
    help: "1; the versions are its labels.",
    labelNames: ["version", "node", "openzl", "zstd", "lz4"],
    registers,
  });
  const { version, node, codecs } = versions;
  build.set({ version, node, openzl: codecs.openzl, zstd: codecs.zstd, lz4: codecs.lz4 }, 1);

  const requests = counter("receiver_requests_total", "Export requests answered, by status code.", [
    "signal",
    "transport",
    "code",
  ]);
  const bytes = counter("receiver_bytes_total", "Bytes of export requests, decompressed.", [
    "signal",
    "transport",
  ]);
  const receiveSeconds = histogram(
    "receiver_duration_seconds",
    "From a whole request until its answer: the engine and the downstream included.",
    ["signal", "transport"],
  );

  const records = counter(
    "receiver_records_total",
    "Log records, spans and metric points that the engine read.",
    ["signal"],
  );
  const flagged = counter("flagged_records_total", "Records that carry CBAD attributes.", ["signal"]);
  const anomalies = counter("anomalies_total", "Anomalies reported.", ["signal", "channel"]);
  const engineSeconds = histogram(
    "engine_duration_seconds",
    "From handing a request to the engine until its verdicts.",
    ["signal"],
  );

  const forwarded = counter("forwarded_records_total", "Records that the downstream took.", ["signal"]);
  const refused = counter(
    "refused_records_total",
    "Records handed back to their sender with an error, by its status code; the sender still has them.",
    ["signal", "code"],
  );
  const dropped = counter("dropped_records_total", "Records lost: refused by the downstream for good.", [
    "signal",
  ]);
  const forwardSeconds = histogram(
    "forward_duration_seconds",
    "Until the downstream took a request, retries included.",
    ["signal"],
  );

  // A series that is there from the start can be alarmed on: from 0 to 1 is a rise.
  for (const signal of signals) {
    for (const transport of transports) bytes.labels(signal, transport).inc(0);
    for (const each of [records, flagged, forwarded, dropped]) each.labels(signal).inc(0);
  }

  return {
    registry,
    requests,
    bytes,
    receiveSeconds,
    records,
    flagged,
    anomalies,
    engineSeconds,
    forwarded,
    refused,
    dropped,
    forwardSeconds,

    /** Gauges that ask `source` when the metrics are read. */
    watch(source: Gauges): void {
      const gauge = (name: string, help: string, read: () => number) =>
        new Gauge({
          name: `driftlock_${name}`,
          help,
          registers,
          collect() {
            this.set(read());
          },
        });
      gauge("streams", "Streams held.", () => source.engine()?.streams ?? 0);
      gauge(
        "streams_learning",
        "Streams that have no limits yet and raise no alarm.",
        () => source.engine()?.learning ?? 0,
      );
      gauge(
        "streams_evicted",
        "Streams given up for newer ones since the start.",
        () => source.engine()?.evicted ?? 0,
      );
      gauge("engine_bytes", "Bytes that streams hold.", () => source.engine()?.bytes ?? 0);
      gauge("engine_pending_requests", "Requests in the engine.", () => source.engine()?.pending ?? 0);
      gauge("queue_bytes", "Bytes that wait or are on their way downstream.", () => source.queueBytes());
    },
  };
}

export type SignalLabel = Signal;
