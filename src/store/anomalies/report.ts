import type { Report } from "../../anomaly/report.ts";
import { streamId } from "../../anomaly/stream-id.ts";
import { sha256 } from "../../base/sha256.ts";
import { type Anomaly, State } from "../../gen/driftlock/v1/anomaly_pb.js";
import { checkId, checkTenant, storable } from "../arguments.ts";

/** A report as it is stored: its bytes and the columns beside them. */
export interface ReportRow {
  tenant: string;
  id: string;
  streamId: string;
  stream: string;
  service: string;
  signal: number;
  channel: number;
  severity: number;
  /** The time in nanoseconds since 1970. */
  startTime: bigint;
  endTime: bigint;
  occurrence: bigint;
  /** Whether the report only states that the anomaly has ended. */
  ended: boolean;
  strength: number;
  /** The channel of a report that shows news; 0 for others. */
  news: number;
  hash: string;
  recordHash: string;
  /** In hexadecimal; null if the report names no trace. */
  traceId: string | null;
  text: string;
  bytes: Uint8Array;
  recording: Uint8Array | undefined;
  /** The approximate size of the report in the database, in bytes. */
  size: number;
}

const maxStream = 1_024;
const maxService = 256;
const maxText = 8_192;
/**
 * The size of the report's row, its anomaly's row and their index entries, besides the report's own bytes: 1,400 in
 * SQLite, 2,300 in PostgreSQL.
 */
const rowBytes = 1_500;
const maxInteger = 2n ** 63n - 1n;

export function streamKey(key: string): string {
  return storable(key, maxStream);
}

export function serviceName(service: string): string {
  return storable(service, maxService);
}

/** Converts to a signed integer, as both databases store them. */
export function integer(value: bigint): bigint {
  return value > maxInteger ? maxInteger : value;
}

/** Returns a text in lower case, in which form it is searched. */
export function searchable(text: string): string {
  return storable(text, maxText).toLowerCase();
}

/** Reports are compared by severity, and those of the same severity by rarity. */
function strengthOf({ severity, margin }: Anomaly): number {
  return severity + (margin > 0 ? margin / (1 + margin) : 0);
}

/**
 * Returns the row of a report.
 * @throws {InvalidArgument} if the anomaly has no tenant or no id that can be stored.
 */
export function toRow({ bytes, message: anomaly, recording }: Report): ReportRow {
  const stream = streamKey(anomaly.stream);
  const record = anomaly.record?.text ?? "";
  const text = searchable(`${anomaly.explanation}\n${record}`);
  // Findings that are about no record differ by what they say; their repetitions are one example.
  const shown = anomaly.record === undefined && anomaly.news ? anomaly.explanation : record;
  return {
    tenant: checkTenant(anomaly.tenant),
    id: checkId("id", anomaly.id),
    streamId: streamId(stream),
    stream,
    service: serviceName(anomaly.serviceName),
    signal: anomaly.signal,
    channel: anomaly.channel,
    severity: anomaly.severity,
    startTime: integer(anomaly.startTimeUnixNano),
    endTime: integer(anomaly.endTimeUnixNano),
    occurrence: integer(anomaly.occurrence),
    ended: anomaly.state === State.ENDED,
    strength: strengthOf(anomaly),
    news: anomaly.news ? anomaly.channel : 0,
    hash: sha256(bytes),
    traceId: anomaly.traceId.length === 0 ? null : Buffer.from(anomaly.traceId).toString("hex"),
    recordHash: sha256(`${anomaly.channel}\n${shown}`),
    text,
    bytes,
    recording,
    size: bytes.length + text.length + rowBytes,
  };
}
