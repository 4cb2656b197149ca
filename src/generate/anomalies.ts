/** The anomalies that can be injected, by name, and when. */
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
  /** Signals that show it. */
  signals: readonly Signal[];
  /** Where it strikes. */
  service: Service;
  summary: string;
}

export const anomalyKinds: Readonly<Record<AnomalyName, Kind>> = {
  "new-error": {
    signals: ["logs"],
    service: "payments",
    summary: "an error with a stack trace that was never seen, 8 times",
  },
  "secret-leak": {
    signals: ["logs"],
    service: "checkout",
    summary: "a card number and a base64 blob in a log, 4 times",
  },
  latency: { signals: ["traces"], service: "inventory", summary: "database spans ten times as long" },
  "error-status": {
    signals: ["traces"],
    service: "inventory",
    summary: "reservations end with an error never seen",
  },
  "missing-span": {
    signals: ["traces"],
    service: "checkout",
    summary: "calls of payments without the span of payments beneath",
  },
  burst: { signals: ["logs"], service: "inventory", summary: "each reservation logged 15 times over" },
  silence: {
    signals: ["logs", "traces", "metrics"],
    service: "notifications",
    summary: "the service sends nothing",
  },
  "metric-spike": {
    signals: ["metrics"],
    service: "inventory",
    summary: "process.cpu.utilization close to 1",
  },
  "level-shift": {
    signals: ["metrics"],
    service: "inventory",
    summary: "25 more used connections in db.client.connection.count",
  },
  "new-field": { signals: ["logs"], service: "checkout", summary: "an attribute that logs never had" },
};

/** An anomaly at its time; milliseconds of stream time since the start. */
export interface Schedule {
  name: AnomalyName;
  start: number;
  /** Exclusive. */
  end: number;
}

export interface Pace {
  signals: readonly Signal[];
  /** Records a second of wall time. */
  rate: number;
  /** Stream time per wall time. */
  speed: number;
}

/** Records until the streams of the shop have been learned at the default baseline, and more. */
const learningRecords = 22_500;
const everyMs = 20_000;

/** Of an anomaly for which no duration was given. Metric points are rarer: a few of them must fall into it. */
export function defaultDuration(name: AnomalyName, { speed }: Pace, scrapeInterval: number): number {
  const least = 10_000 * speed;
  return anomalyKinds[name].signals.includes("metrics") ? Math.max(least, 4 * scrapeInterval) : least;
}

/** One anomaly each 20 s of wall time once streams have been learned, all kinds in turn, up to `duration`. */
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
