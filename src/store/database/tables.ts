/**
 * The tables, as kysely needs them. Event times are in nanoseconds since 1970; times of the store are in milliseconds.
 */
import type { ColumnType, Generated, GeneratedAlways } from "kysely";

/** An integer column. It has 64 bits and is read as a bigint from both databases. */
type Integer = ColumnType<bigint, bigint | number, bigint | number>;
type NullableInteger = ColumnType<bigint | null, bigint | number | null, bigint | number | null>;

export interface Tables {
  tenants: {
    id: string;
    created_at: Integer;
    /** The number of the latest entry of the tenant's audit log; 0 if there is none. */
    audit_seq: ColumnType<bigint, undefined, bigint>;
    /** The hash of that entry; 64 zeros if there is none. */
    audit_hash: Generated<string>;
  };
  /** The settings that verdicts were computed with. */
  settings: {
    /** The SHA-256 of the body, in hex. */
    hash: string;
    /** The settings as canonical JSON. */
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
    /** The progress of learning, from 0 to 1. */
    progress: number;
    /** The event time at which the stream had learned. */
    baseline_at: NullableInteger;
    /** When the stream was first recorded, by the store's clock. */
    recorded_at: Integer;
    /** When the engine last reported the stream's statistics, by the store's clock. */
    told_at: Integer;
  };
  /** The history of streams: a ring of points for each stream, whose slots are reused after a day. */
  stream_points: {
    tenant: string;
    stream_id: string;
    slot: Integer;
    /** When the point began, by the store's clock. */
    time: Integer;
    records: Integer;
    flagged: Integer;
    score: number;
    channel: Integer;
    p_value: number;
  };
  /** Summaries of all reports of an anomaly: minima, maxima and unions, which do not depend on the reports' order. */
  anomalies: {
    tenant: string;
    id: string;
    stream_id: string;
    stream: string;
    service: string;
    signal: Integer;
    /** A mask in which bit n is set if a report is of channel n. */
    channels: Integer;
    severity: Integer;
    start_time: Integer;
    end_time: Integer;
    occurrences: Integer;
    ended: Integer;
    /** The state that a person chose in triage. */
    disposition: ColumnType<string | null, never, string>;
    /** The disposition if there is one, else `ended` or `open`. */
    state: GeneratedAlways<string>;
    recorded_at: Integer;
    changed_at: Integer;
  };
  /** The reports that are kept: the first one, the strongest one and some with distinct records. */
  anomaly_reports: {
    tenant: string;
    anomaly_id: string;
    /** The SHA-256 of the report, in hex, so that the same report is stored only once. */
    hash: string;
    /** The SHA-256 of the channel and the record's text, in hex. */
    record_hash: string;
    settings_hash: string;
    occurrence: Integer;
    /** Orders the reports of an anomaly by severity, and then by rarity. */
    strength: number;
    /** The channel of a report that shows what no earlier one did; 0 for others. */
    news: Integer;
    /** The trace of the reported record, in hexadecimal. */
    trace_id: string | null;
    /** The approximate size of the report in the database, in bytes. */
    size: Integer;
    /** The explanation and the record in lower case, for searches. */
    text: string;
    /** The report as a driftlock.v1.Anomaly message. */
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
  incidents: {
    tenant: string;
    id: string;
    start_time: Integer;
    severity: Integer;
    minor: Integer;
    /** `open`, `ended` or `merged`. */
    formed: string;
    merged_into: string | null;
    /** The state that a person chose. */
    disposition: ColumnType<string | null, undefined, string | null>;
    /** When a person expects no more of it, by the machine's clock. */
    expected_until: ColumnType<bigint | null, undefined, bigint | null>;
    /** `merged` if it is, else the disposition if there is one, else `formed`. */
    state: GeneratedAlways<string>;
    /** The number of members. */
    members: Integer;
    recorded_at: Integer;
    changed_at: Integer;
    /** The latest revision as a driftlock.v1.Incident message, without what lists do not show. */
    summary: Uint8Array;
    /** The latest revision. */
    message: Uint8Array;
  };
  incident_services: {
    tenant: string;
    incident_id: string;
    service: string;
  };
  /** The anomalies of all revisions. */
  incident_anomalies: {
    tenant: string;
    incident_id: string;
    anomaly_id: string;
  };
  /** What incidents are computed again from: `basis` of their latest revision. */
  incident_bases: {
    tenant: string;
    incident_id: string;
    recorded_at: Integer;
    /** 0 if it is no longer kept. */
    size: Integer;
    data: Uint8Array;
  };
  incident_events: {
    tenant: string;
    incident_id: string;
    seq: Integer;
    state: string;
    until: NullableInteger;
    author: string;
    time: Integer;
    note: string;
  };
  changes: {
    tenant: string;
    id: string;
    /** The event time. */
    time: Integer;
    service: string;
    recorded_at: Integer;
    /** A driftlock.v1.Change message. */
    message: Uint8Array;
  };
  /** The strangest of each stream and hour that was not flagged. */
  notable: {
    tenant: string;
    /** The number of the hour of its event time since 1970. */
    hour: Integer;
    stream_id: string;
    /** The event time. */
    time: Integer;
    margin: number;
    recorded_at: Integer;
    /** A driftlock.v1.Anomaly message without an id. */
    message: Uint8Array;
  };
  /** Calls of language models, and executions of tools. */
  llm_calls: {
    tenant: string;
    id: string;
    /** Hexadecimal digits of a hash of the conversation's name. */
    conversation_id: string;
    conversation: string;
    service: string;
    agent: string;
    model: string;
    operation: string;
    /** The event time of its start and its end. */
    time: Integer;
    end_time: Integer;
    input_tokens: NullableInteger;
    output_tokens: NullableInteger;
    cost: number | null;
    tool_calls: Integer;
    /** 1 if it failed; 1 if something in it was flagged. */
    failed: Integer;
    flagged: Integer;
    recorded_at: Integer;
    /** One or several driftlock.v1.LlmCall messages, which joined are one. */
    message: Uint8Array;
  };
  /** What people have entered about the reports of an incident to authorities, as canonical JSON. */
  incident_reports: {
    tenant: string;
    incident_id: string;
    entered: string;
    author: string;
    changed_at: Integer;
  };
  evidence_bundles: {
    tenant: string;
    id: string;
    anomaly_id: string | null;
    author: string;
    created_at: Integer;
    size: Integer;
    /** The SHA-256 of the bundle's bytes, in hex. */
    sha256: string;
    /** Always `database`: the bytes are in `evidence_files`. */
    location: string;
    incident_id: string | null;
  };
  evidence_files: {
    tenant: string;
    bundle_id: string;
    bytes: Uint8Array;
  };
  /** What an anomaly's first report was computed from. */
  recordings: {
    tenant: string;
    anomaly_id: string;
    recorded_at: Integer;
    size: Integer;
    data: Uint8Array;
  };
  /** Of reports after the first of an anomaly, by the hash of the report. */
  report_recordings: {
    tenant: string;
    anomaly_id: string;
    hash: string;
    recorded_at: Integer;
    /** 0 if it is no longer kept. */
    size: Integer;
    data: Uint8Array;
  };
  api_keys: {
    /** 16 hex digits. Together with `dlk_` they are the prefix by which people recognize the key. */
    id: string;
    tenant: string;
    name: string;
    /** The SHA-256 of the whole key, in hex. A key has 256 random bits, so no slow hash is needed. */
    hash: string;
    /** The scopes, separated by spaces. */
    scopes: string;
    created_by: string;
    created_at: Integer;
    expires_at: NullableInteger;
    revoked_at: NullableInteger;
    last_used_at: NullableInteger;
  };
  sessions: {
    /** The SHA-256 of the session's secret, in hex. It has 256 random bits, so no slow hash is needed. */
    hash: string;
    tenant: string;
    /** Empty if the session is one of a person, who has no key. */
    key_id: string;
    /** A person's name and scopes, separated by spaces; null if the session stands for a key. */
    subject: string | null;
    scopes: string | null;
    created_at: Integer;
    expires_at: Integer;
  };
  /** The policies of tenants, as canonical JSON. */
  policies: {
    tenant: string;
    policies: string;
    author: string;
    changed_at: Integer;
  };
  silences: {
    tenant: string;
    id: string;
    /** Canonical JSON. */
    match: string;
    starts_at: Integer;
    ends_at: Integer;
    reason: string;
    author: string;
    created_at: Integer;
  };
  /** The outbox: what each channel of notifications is to receive, and has received, of an incident. */
  notifications: {
    tenant: string;
    incident: string;
    channel: string;
    /** The incident as it is now, as JSON. */
    notice: string;
    /** The incident as it was last sent. */
    sent_notice: string | null;
    resolved: Integer;
    /** Counts the changes of the incident, and of these the one that was sent last. */
    revision: Integer;
    sent_revision: ColumnType<bigint, undefined, bigint>;
    attempts: ColumnType<bigint, undefined, bigint>;
    /** `window` or `cap` if the first message waits for a window's end or for a summary, else empty. */
    held: Generated<string>;
    changed_at: Integer;
    sent_at: NullableInteger;
    /** When the next message is due; null if none is. */
    next_at: NullableInteger;
  };
  /** The number of messages of a channel in the hour that runs. */
  notification_hours: {
    channel: string;
    started_at: Integer;
    sent: Integer;
  };
  audit_log: {
    tenant: string;
    /** The number of the entry in its log: from 1, without gaps. */
    seq: Integer;
    previous_hash: string;
    /** The SHA-256 of `previous_hash` and `entry`, in hex. */
    hash: string;
    /** The entry as canonical JSON. */
    entry: string;
  };
  /** The complete subtrees of the logs' Merkle trees; see audit-tree.ts. */
  audit_nodes: {
    tenant: string;
    level: Integer;
    position: Integer;
    /** In hex. */
    hash: string;
    /** The target of a leaf's entry; null for other nodes. */
    target: string | null;
  };
  /** The checkpoint of each tenant's log that was issued last. */
  audit_checkpoints: {
    tenant: string;
    size: Integer;
    /** The signed note. */
    note: string;
  };
  /** The last confirmed time of day, in one row, whose id is 1; see confirmed-time.ts. */
  clock: {
    id: Integer;
    confirmed_at: Integer;
  };
  usage: {
    tenant: string;
    /** The date in UTC, such as 2026-01-31. */
    day: string;
    requests: Integer;
    records: Integer;
    bytes: Integer;
    /** The part of each that has entered `usage_events`, or that is not to be reported. */
    reported_requests: ColumnType<bigint, undefined, bigint>;
    reported_records: ColumnType<bigint, undefined, bigint>;
    reported_bytes: ColumnType<bigint, undefined, bigint>;
  };
  /** What tenants have subscribed to; see billing.ts. */
  subscriptions: {
    tenant: string;
    id: string;
    customer: string;
    /** The plan's name; empty if the price belongs to none. */
    plan: string;
    active: Integer;
    changed_at: Integer;
  };
  /** The outbox of usage that is reported for payment. */
  usage_events: {
    id: string;
    tenant: string;
    customer: string;
    meter: string;
    time: Integer;
    value: Integer;
    state: Generated<string>;
    attempts: ColumnType<bigint, undefined, bigint>;
    unclear_since: NullableInteger;
    next_at: Integer;
    changed_at: Integer;
  };
  /** How far the partitions of a log have been stored; see positions.ts. */
  log_positions: {
    topic: string;
    number: Integer;
    position: Integer;
    state: Uint8Array;
  };
  /** What is left of the budgets that processes share; see alarm-budgets.ts. */
  alarm_budgets: {
    installation: string;
    /** In milliseconds since 1970. */
    time: Integer;
    state: Uint8Array;
  };
  /** The anomalies that were paid for lately. */
  paid_alarms: {
    tenant: string;
    anomaly_id: string;
    paid_at: Integer;
  };
}
