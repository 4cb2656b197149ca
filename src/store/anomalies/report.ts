import type { Report } from "../../anomaly/report.ts";
import { type Anomaly, State } from "../../gen/driftlock/v1/anomaly_pb.js";
import { checkId, checkTenant, storable } from "../arguments.ts";
import { sha256 } from "../canonical.ts";

/** One report of an anomaly as it is stored: its bytes and the columns beside them. */
export interface ReportRow {
  tenant: string;
  id: string;
  streamId: string;
  stream: string;
  service: string;
  signal: number;
  channel: number;
  severity: number;
  /** Nanoseconds since 1970. */
  startTime: bigint;
  endTime: bigint;
  occurrence: bigint;
  /** It says that the anomaly is over, and nothing else. */
  ended: boolean;
  strength: number;
  hash: string;
  recordHash: string;
  text: string;
  bytes: Uint8Array;
  /** Bytes that the report takes in the database, about. */
  size: number;
}

const maxStream = 1_024;
const maxService = 256;
const maxText = 8_192;
/** Of its row, its anomaly's and their entries in indexes, beside the report's own bytes: 1,400 in SQLite, 2,300 in PostgreSQL. */
const rowBytes = 1_500;
const maxInteger = 2n ** 63n - 1n;

const streamIds = new Map<string, string>();
const maxStreamIds = 10_000;

/** Stable name of a stream: 32 hex digits of the SHA-256 of its key. */
export function streamId(key: string): string {
  const known = streamIds.get(key);
  if (known !== undefined) return known;
  const id = sha256(key).slice(0, 32);
  if (streamIds.size >= maxStreamIds) streamIds.clear();
  streamIds.set(key, id);
  return id;
}

export function streamKey(key: string): string {
  return storable(key, maxStream);
}

export function serviceName(service: string): string {
  return storable(service, maxService);
}

/** Integers of both databases have a sign. */
export function integer(value: bigint): bigint {
  return value > maxInteger ? maxInteger : value;
}

/** As a text is searched: in lower case. */
export function searchable(text: string): string {
  return storable(text, maxText).toLowerCase();
}

function strengthOf({ score, limit }: Anomaly): number {
  const strength = score / limit;
  return Number.isFinite(strength) && strength > 0 ? strength : 0;
}

/** @throws {InvalidArgument} where the anomaly has no tenant or no id that can be stored. */
export function toRow({ bytes, message: anomaly }: Report): ReportRow {
  const stream = streamKey(anomaly.stream);
  const record = anomaly.record?.text ?? "";
  const text = searchable(`${anomaly.explanation}\n${record}`);
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
    hash: sha256(bytes),
    recordHash: sha256(record),
    text,
    bytes,
    size: bytes.length + text.length + rowBytes,
  };
}
