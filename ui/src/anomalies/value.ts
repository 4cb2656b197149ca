/** The value of a report against its usual range, in a unit that people read. */
import type { Report } from "../api/types.ts";

export interface ValueInRange {
  value: number | undefined;
  low: number | undefined;
  high: number | undefined;
  unit: string;
}

/** Returns undefined if the report is not about a number. */
export function rangeOf(report: Report, signal: string): ValueInRange | undefined {
  const { expected, channel, field } = report;
  if (expected === null || (expected.low === null && expected.high === null)) return undefined;
  const isDuration = signal === "traces" && (channel === "value" || field === "duration");
  const scaled = (value: number | null) => (value === null ? undefined : isDuration ? value / 1e6 : value);
  return {
    value: undefined,
    low: scaled(expected.low),
    high: scaled(expected.high),
    unit: isDuration ? "ms" : channel === "volume" ? "records" : "",
  };
}
