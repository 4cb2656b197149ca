/** The explanation of a report, without the numbers that are shown beside it. */
import type { Report } from "../api/types.ts";
import { printable } from "../parts/text.ts";

type Explained = Pick<Report, "explanation">;

/** Matches the score, limit and p-value at the end of an explanation. */
const figures = /; score \S+ against a limit of \S+, p = [^;]+/;

export function headline(report: Explained | null): string {
  return report === null ? "" : printable(report.explanation.replace(figures, ""));
}

/** A sentence about the anomaly as a whole. */
export function headlineOf(anomaly: { report: Explained | null }): string {
  return headline(anomaly.report) || "No report of this anomaly is stored";
}
