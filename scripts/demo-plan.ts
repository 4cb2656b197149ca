/** What the demo sends: how many records, and which anomalies when. */
import type { AnomalyName } from "../src/generate/anomalies.ts";

/** Records per second. */
export const rate = 600;

/** Alarms per resource group and day. The default is meant for a quiet service; here half of the faults befall one in minutes. */
export const alarmsPerGroup = 5;

export interface Planned {
  name: AnomalyName;
  /** Seconds after the beginning of the load. */
  start: number;
  seconds: number;
}

/**
 * The latency comes first, as soon as the durations have been learned, so that it becomes an incident with its cause before anything
 * else happens. Then news; then what is a matter of numbers, which takes more of the past. Of the faults of one service, which
 * share a budget, those come last that stand out most. The silence is long, because a service that sends nothing is missed only
 * after a minute.
 */
export const plan: readonly Planned[] = [
  { name: "latency", start: 60, seconds: 15 },
  { name: "new-error", start: 100, seconds: 8 },
  { name: "secret-leak", start: 115, seconds: 8 },
  { name: "new-field", start: 130, seconds: 10 },
  { name: "missing-span", start: 145, seconds: 25 },
  { name: "level-shift", start: 175, seconds: 30 },
  { name: "error-status", start: 210, seconds: 10 },
  { name: "silence", start: 225, seconds: 90 },
  { name: "burst", start: 240, seconds: 20 },
  { name: "metric-spike", start: 275, seconds: 15 },
];
