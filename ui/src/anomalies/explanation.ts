/** The explanation of a report, without the numbers that are shown beside it. */
import type { Anomaly, Report } from "../api/types.ts";

/** Matches the score, limit and p-value at the end of an explanation. */
const figures = /; score \S+ against a limit of \S+, p = [^;]+/;

export function headline(report: Report | null): string {
  return report === null ? "" : report.explanation.replace(figures, "");
}

/** A sentence about the anomaly as a whole. */
export function headlineOf(anomaly: Anomaly): string {
  return headline(anomaly.report) || "No report of this anomaly is stored";
}

/** Returns a number of nanoseconds, or of the report's unit, as the API's `expected` has it, for people. */
export function inUnit(value: number, report: Report, signal: string): { value: number; unit: string } {
  const isDuration = signal === "traces" && (report.channel === "value" || report.field === "duration");
  return isDuration ? { value: value / 1e6, unit: "ms" } : { value, unit: "" };
}
