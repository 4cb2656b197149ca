/** An anomaly as lists tell of it: its row, and the strongest of its reports. */
import type { AnomalyState } from "../../anomaly/names.ts";
import { decodeReport, type Report } from "../../anomaly/report.ts";
import type { Channel, Severity, Signal } from "../../gen/driftlock/v1/anomaly_pb.js";

/** A report as it is stored. Only an anomaly's first report has `excerpts`. */
export interface StoredReport extends Report {
  readonly settingsHash: string;
}

/** What all reports of an anomaly say together. */
export interface AnomalySummary {
  tenant: string;
  id: string;
  stream: string;
  streamId: string;
  service: string;
  signal: Signal;
  /** Of all reports. */
  channels: Channel[];
  /** The highest of all reports. */
  severity: Severity;
  /** Event times of the first flagged verdict and of the latest, nanoseconds since 1970. */
  startTime: bigint;
  endTime: bigint;
  occurrences: bigint;
  ended: boolean;
  state: AnomalyState;
  /** Milliseconds since 1970: when the first report was stored. */
  recordedAt: number;
  /** When the latest was, or a person said something of it. */
  changedAt: number;
  /** Whose score is the highest multiple of its limit. None where only the anomaly's end has been told. */
  strongest: StoredReport | undefined;
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

function channelsOf(bits: bigint): Channel[] {
  return Array.from({ length: 32 }, (_, channel) => channel).filter(
    (channel) => (bits & (1n << BigInt(channel))) !== 0n,
  );
}

export function toSummary(row: SummaryRow, strongest: StoredReport | undefined): AnomalySummary {
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
  };
}

interface ReportRow {
  settings_hash: string;
  report: Uint8Array;
}

export function toReport({ settings_hash: settingsHash, report: bytes }: ReportRow): StoredReport {
  return { ...decodeReport(bytes), settingsHash };
}
