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
 * News first, which is found once the logs have been learned; then what is a matter of numbers, which takes more of the past.
 * Of the faults of one service, which share a budget, those come last that stand out most. The silence is long, because a
 * service that sends nothing is missed only after a minute.
 */
export const plan: readonly Planned[] = [
  { name: "new-error", start: 45, seconds: 8 },
  { name: "secret-leak", start: 60, seconds: 8 },
  { name: "new-field", start: 75, seconds: 10 },
  { name: "missing-span", start: 90, seconds: 25 },
  { name: "level-shift", start: 130, seconds: 30 },
  { name: "latency", start: 170, seconds: 10 },
  { name: "error-status", start: 190, seconds: 10 },
  { name: "silence", start: 205, seconds: 90 },
  { name: "burst", start: 220, seconds: 20 },
  { name: "metric-spike", start: 255, seconds: 15 },
];
