/** Defines the anomalies that can be injected, and when. */
import type { Signal } from "../otlp/protocol.ts";
import type { Service } from "./shop.ts";

export const anomalyNames = [
  "new-error",
  "secret-leak",
  "latency",
  "error-status",
  "missing-span",
  "burst",
  "silence",
  "metric-spike",
  "level-shift",
  "new-field",
] as const;
export type AnomalyName = (typeof anomalyNames)[number];

interface Kind {
  /** The signals in which it is visible. */
  signals: readonly Signal[];
  /** The service that it concerns. */
  service: Service;
  summary: string;
}

export const anomalyKinds: Readonly<Record<AnomalyName, Kind>> = {
  "new-error": {
    signals: ["logs"],
    service: "payments",
    summary: "an error with a new stack trace, 8 times",
  },
  "secret-leak": {
    signals: ["logs"],
    service: "checkout",
    summary: "a log contains a card number and base64 data, 4 times",
  },
  latency: { signals: ["traces"], service: "inventory", summary: "database spans take ten times as long" },
  "error-status": {
    signals: ["traces"],
    service: "inventory",
    summary: "reservations end with a new error",
  },
  "missing-span": {
    signals: ["traces"],
    service: "checkout",
    summary: "calls of payments lack the span of payments",
  },
  burst: { signals: ["logs"], service: "inventory", summary: "each reservation is logged 15 times" },
  silence: {
    signals: ["logs", "traces", "metrics"],
    service: "notifications",
    summary: "the service sends nothing",
  },
  "metric-spike": {
    signals: ["metrics"],
    service: "inventory",
    summary: "process.cpu.utilization is close to 1",
  },
  "level-shift": {
    signals: ["metrics"],
    service: "inventory",
    summary: "db.client.connection.count has 25 more used connections",
  },
  "new-field": { signals: ["logs"], service: "checkout", summary: "logs have a new attribute" },
};

/** An anomaly with its time, in milliseconds of stream time since the start. */
export interface Schedule {
  name: AnomalyName;
  start: number;
  /** The end is exclusive. */
  end: number;
}

export interface Pace {
  signals: readonly Signal[];
  /** Records per second of wall time. */
  rate: number;
  /** Seconds of stream time per second of wall time. */
  speed: number;
}

/** More records than the streams of the shop need to learn with the default baseline. */
const learningRecords = 22_500;
const everyMs = 20_000;

/** Returns the duration of an anomaly without one. It is long enough for a few points of metrics, which are rarer. */
export function defaultDuration(name: AnomalyName, { speed }: Pace, scrapeInterval: number): number {
  const least = 10_000 * speed;
  return anomalyKinds[name].signals.includes("metrics") ? Math.max(least, 4 * scrapeInterval) : least;
}

/** Yields all kinds of anomalies in turn, one every 20 s of wall time once the streams have learned, up to `duration`. */
export function* defaultSchedule(pace: Pace, scrapeInterval: number, duration: number): Generator<Schedule> {
  const names = anomalyNames.filter((name) =>
    anomalyKinds[name].signals.some((signal) => pace.signals.includes(signal)),
  );
  const first = Math.round((learningRecords / pace.rate) * 1_000);
  for (let i = 0; names.length > 0; i++) {
    const start = (first + i * everyMs) * pace.speed;
    if (start >= duration) return;
    const name = names[i % names.length]!;
    yield { name, start, end: start + defaultDuration(name, pace, scrapeInterval) };
  }
}
