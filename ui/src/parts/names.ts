/** The names of severities, states, signals and channels, with what they mean. The types make sure that none is missing. */
import { subjects } from "../../../src/anomaly/subjects.ts";
import type { Channel, Severity, Signal, State } from "../api/types.ts";

type Known<T> = Exclude<T, "unspecified">;

/** From the gravest. */
export const severities: Readonly<Record<Known<Severity>, string>> = {
  critical: "Critical",
  high: "High",
  medium: "Medium",
  low: "Low",
};

export const states: Readonly<Record<State, string>> = {
  open: "Open",
  ended: "Ended",
  acknowledged: "Acknowledged",
  resolved: "Resolved",
  accepted: "Accepted as normal",
  false: "False",
};

export const signals: Readonly<Record<Known<Signal>, string>> = {
  logs: "Logs",
  traces: "Traces",
  metrics: "Metrics",
};

/** What each channel looks at. */
export const channels: Readonly<Record<Known<Channel>, string>> = subjects;

/** From the lowest, for comparisons. */
export const rank: Readonly<Record<Severity, number>> = {
  unspecified: 0,
  low: 1,
  medium: 2,
  high: 3,
  critical: 4,
};
