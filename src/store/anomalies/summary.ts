/** An anomaly as lists show it: its row and its strongest report. */
import type { AnomalyState } from "../../anomaly/names.ts";
import { decodeReport, type Report } from "../../anomaly/report.ts";
import type { Channel, Severity, Signal } from "../../gen/driftlock/v1/anomaly_pb.js";

/** A report as it is stored. Only an anomaly's first report has `excerpts`. */
export interface StoredReport extends Report {
  readonly settingsHash: string;
}

/** The summary of all reports of an anomaly. */
export interface AnomalySummary {
  tenant: string;
  id: string;
  stream: string;
  streamId: string;
  service: string;
  signal: Signal;
  /** The channels of all reports. */
  channels: Channel[];
  /** The highest severity of all reports. */
  severity: Severity;
  /** The event times of the first and the latest flagged verdict, in nanoseconds since 1970. */
  startTime: bigint;
  endTime: bigint;
  occurrences: bigint;
  ended: boolean;
  state: AnomalyState;
  /** When the first report was stored, in milliseconds since 1970. */
  recordedAt: number;
  /** When the latest report was stored, or the anomaly was triaged. */
  changedAt: number;
  /** The gravest report, and of these the rarest. Undefined if only the anomaly's end was reported. */
  strongest: StoredReport | undefined;
  /** The id of the incident that it is part of. */
  incident: string | undefined;
}

export const summaryColumns = [
  "tenant",
  "id",
  "stream",
  "stream_id",
  "service",
  "signal",
  "channels",
  "severity",
  "start_time",
  "end_time",
  "occurrences",
  "ended",
  "state",
  "recorded_at",
  "changed_at",
] as const;
export type SummaryRow = {
  [C in Exclude<
    (typeof summaryColumns)[number],
    "tenant" | "id" | "stream" | "stream_id" | "service" | "state"
  >]: bigint;
} & { tenant: string; id: string; stream: string; stream_id: string; service: string; state: string };

export function channelsOf(bits: bigint): Channel[] {
  return Array.from({ length: 32 }, (_, channel) => channel).filter(
    (channel) => (bits & (1n << BigInt(channel))) !== 0n,
  );
}

export function toSummary(
  row: SummaryRow,
  strongest: StoredReport | undefined,
  incident: string | undefined,
): AnomalySummary {
  return {
    tenant: row.tenant,
    id: row.id,
    stream: row.stream,
    streamId: row.stream_id,
    service: row.service,
    signal: Number(row.signal),
    channels: channelsOf(row.channels),
    severity: Number(row.severity),
    startTime: row.start_time,
    endTime: row.end_time,
    occurrences: row.occurrences,
    ended: row.ended === 1n,
    state: row.state as AnomalyState,
    recordedAt: Number(row.recorded_at),
    changedAt: Number(row.changed_at),
    strongest,
    incident,
  };
}

interface ReportRow {
  settings_hash: string;
  report: Uint8Array;
}

export function toReport({ settings_hash: settingsHash, report: bytes }: ReportRow): StoredReport {
  return { ...decodeReport(bytes), settingsHash };
}
