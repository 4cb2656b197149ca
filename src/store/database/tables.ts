/** The tables as kysely sees them. Times of events are in nanoseconds since 1970, those of the store in milliseconds. */
import type { ColumnType, Generated, GeneratedAlways } from "kysely";

/** Every integer column has 64 bits and is read as a bigint, from either database. */
type Integer = ColumnType<bigint, bigint | number, bigint | number>;
type NullableInteger = ColumnType<bigint | null, bigint | number | null, bigint | number | null>;

export interface Tables {
  tenants: {
    id: string;
    created_at: Integer;
    /** The latest entry of the tenant's audit log: 0 and 64 zeros before the first. */
    audit_seq: ColumnType<bigint, undefined, bigint>;
    audit_hash: Generated<string>;
  };
  /** What verdicts were computed with. */
  settings: {
    /** SHA-256 of the body, hex. */
    hash: string;
    /** Canonical JSON. */
    body: string;
    created_at: Integer;
  };
  streams: {
    tenant: string;
    id: string;
    key: string;
    signal: Integer;
    service: string;
    state: string;
    first_seen: Integer;
    last_seen: Integer;
    records: Integer;
    flagged: Integer;
    withheld: Integer;
    /** Of learning, from 0 to 1. */
    progress: number;
    /** Event time when it had learned. */
    baseline_at: NullableInteger;
    /** By the store's clock: when it was first recorded, and when its figures last came. */
    recorded_at: Integer;
    told_at: Integer;
  };
  /** What came of a stream in some minutes. A ring: a slot is taken anew when its time comes again. */
  stream_points: {
    tenant: string;
    stream_id: string;
    slot: Integer;
    /** When they began, by the store's clock. */
    time: Integer;
    records: Integer;
    flagged: Integer;
    score: number;
    channel: Integer;
    p_value: number;
  };
  /** What all reports of an anomaly say together: minima, maxima and unions, so that their order does not matter. */
  anomalies: {
    tenant: string;
    id: string;
    stream_id: string;
    stream: string;
    service: string;
    signal: Integer;
    /** Bit n: a report was of channel n. */
    channels: Integer;
    severity: Integer;
    start_time: Integer;
    end_time: Integer;
    occurrences: Integer;
    ended: Integer;
    /** What a person made of it. */
    disposition: ColumnType<string | null, never, string>;
    /** The disposition; else ended or open. */
    state: GeneratedAlways<string>;
    recorded_at: Integer;
    changed_at: Integer;
  };
  /** The reports that are kept: the first, the strongest, and the first of each of some distinct records. */
  anomaly_reports: {
    tenant: string;
    anomaly_id: string;
    /** SHA-256 of the report, hex: the same report is kept once. */
    hash: string;
    /** SHA-256 of the record's text, hex. */
    record_hash: string;
    settings_hash: string;
    occurrence: Integer;
    /** The score as a multiple of its limit, which compares channels. */
    strength: number;
    /** What this report takes in the database, about. */
    size: Integer;
    /** Explanation and record in lower case, to search in. */
    text: string;
    /** driftlock.v1.Anomaly */
    report: Uint8Array;
  };
  anomaly_events: {
    tenant: string;
    anomaly_id: string;
    seq: Integer;
    state: string;
    author: string;
    time: Integer;
    note: string;
  };
  evidence_bundles: {
    tenant: string;
    id: string;
    anomaly_id: string | null;
    author: string;
    created_at: Integer;
    size: Integer;
    /** Of the bundle's bytes, hex. */
    sha256: string;
    /** Where its bytes are. */
    location: string;
  };
  api_keys: {
    /** 16 hex digits; `dlk_` and these are the prefix by which people know the key. */
    id: string;
    tenant: string;
    name: string;
    /** SHA-256 of the whole key, hex. It has 256 random bits, so that no slow hash is needed. */
    hash: string;
    /** By spaces. */
    scopes: string;
    created_by: string;
    created_at: Integer;
    expires_at: NullableInteger;
    revoked_at: NullableInteger;
    last_used_at: NullableInteger;
  };
  audit_log: {
    tenant: string;
    /** From 1, without gaps. */
    seq: Integer;
    previous_hash: string;
    /** SHA-256 of `previous_hash` and `entry`, hex. */
    hash: string;
    /** Canonical JSON. */
    entry: string;
  };
  /** One row, whose id is 1: see confirmed-time.ts. */
  clock: {
    id: Integer;
    confirmed_at: Integer;
  };
  usage: {
    tenant: string;
    /** UTC, as 2026-01-31. */
    day: string;
    requests: Integer;
    records: Integer;
    bytes: Integer;
  };
}
