/**
 * All of Driftlock's own metrics: their names, types, units, labels and help texts. The metrics themselves and their
 * reference are made from this table. Label values are bounded: signals, transports, codes, channels and reasons;
 * never a tenant or a stream,
 * except for the metrics of streams, whose number `telemetry.stream_metrics` limits.
 */
import { channelNames, severityNames } from "../anomaly/names.ts";
import { dropReasons } from "../forward/index.ts";
import { Code, signals } from "../otlp/protocol.ts";
import { closeReasons, cutReasons } from "../receive/index.ts";

export interface Definition<Label extends string = string> {
  name: string;
  type: "counter" | "gauge" | "histogram";
  unit: string;
  help: string;
  /** The values that each label can have; empty if any text is possible. */
  labels: Readonly<Record<Label, readonly string[]>>;
}

type Labels<Label extends string> = Definition<Label>["labels"];

function define(type: Definition["type"], suffix: string) {
  return <Label extends string = never>(
    name: string,
    unit: string,
    help: string,
    labels = {} as Labels<Label>,
  ): Definition<Label> => ({ name: `driftlock_${name}${suffix}`, type, unit, help, labels });
}

const counter = define("counter", "_total");
const gauge = define("gauge", "");
const seconds = <Label extends string>(name: string, help: string, labels: Labels<Label>) =>
  define("histogram", "_seconds")(name, "seconds", help, labels);

export const transports = ["grpc", "http"] as const;
/** What requests come by, of which connections are of `transports` alone. */
export const carriers = [...transports, "kafka"] as const;

/** The topics that roles read, and write. `received` are those of `receive.kafka`. */
export const consumedTopics = ["in", "out", "anomalies", "statistics", "received"] as const;
const producedTopics = ["in", "out", "anomalies", "statistics", "state"];
/** Those of which records may be left out. */
export const skippedTopics: readonly (typeof consumedTopics)[number][] = ["in", "out", "received"];

/** Stands for all status codes that Driftlock does not know. */
export const otherCode = "OTHER";

/** The labels of a stream's own metrics. */
const ofStream = { tenant: [], signal: signals, service: [], stream: [] };

const signal = signals;
const transport = transports;
const code = [...Object.keys(Code), otherCode];

/** The kinds of channels that notifications are sent by, and what becomes of a notification. */
const notificationLabels = {
  type: ["alertmanager", "webhook", "slack", "teams", "pagerduty", "email", "grafana", "otlp"],
  result: ["sent", "failed", "dropped", "withheld", "summarized"],
};

export const definitions = {
  receiver: {
    requests: counter(
      "receiver_requests",
      "requests",
      "Number of export requests answered, by status code.",
      {
        signal,
        transport: carriers,
        code,
      },
    ),
    bytes: counter(
      "receiver_bytes",
      "bytes",
      "Size of received export requests as protobuf, after decompression.",
      { signal, transport: carriers },
    ),
    wireBytes: counter("receiver_wire_bytes", "bytes", "Size of received export requests as sent.", {
      signal,
      transport: carriers,
    }),
    abortedRequests: counter(
      "receiver_aborted_requests",
      "requests",
      "Number of requests that were aborted while their bodies arrived: too slowly (slow), or not at all while other requests waited for room (stalled).",
      { reason: cutReasons },
    ),
    refusedConnections: counter(
      "receiver_refused_connections",
      "connections",
      "Number of connections that were closed at once because receive.limits.max_connections was reached.",
      { transport },
    ),
    closedConnections: counter(
      "receiver_closed_connections",
      "connections",
      "Number of connections that Driftlock closed: idle for too long (idle), at the maximum age (age), idle while a new connection needed the place (displaced), with an answer that was not read (unread), with too many pipelined requests (pipelined), or with another protocol (protocol).",
      { transport, reason: closeReasons },
    ),
    seconds: seconds(
      "receiver_duration",
      "Time from a request's headers to its answer, including the engine and the downstream.",
      { signal, transport: carriers },
    ),
    inflightRequests: gauge(
      "receiver_inflight_requests",
      "requests",
      "Number of received requests that are not answered yet.",
    ),
    inflightBytes: gauge(
      "receiver_inflight_bytes",
      "bytes",
      "Size of received requests that are not answered yet.",
    ),
  },

  engine: {
    records: counter(
      "receiver_records",
      "records",
      "Number of log records, spans and metric points that the engine read.",
      { signal },
    ),
    flagged: counter("flagged_records", "records", "Number of records that were flagged.", { signal }),
    limited: counter(
      "limited_records",
      "records",
      "Number of records that passed without a verdict because their streams exceed the tenant's limits.streams.",
      { signal },
    ),
    excluded: counter(
      "excluded_records",
      "records",
      "Number of records that passed without a verdict because a policy says that their streams are not judged.",
      { signal },
    ),
    unjudged: counter(
      "unjudged_records",
      "records",
      "Number of records that passed without a verdict because the request's other records had used up the work that one request may cause.",
      { signal },
    ),
    redated: counter(
      "redated_records",
      "records",
      "Number of records whose time was missing, not of this century, or in microseconds, milliseconds or seconds instead of nanoseconds. They were judged at the time of that unit or of their arrival; what is forwarded keeps their time.",
      { signal },
    ),
    abridged: counter(
      "abridged_records",
      "records",
      "Number of flagged records that carry at most the anomaly's id because their request has more flagged records than are annotated in full.",
      { signal },
    ),
    silenced: counter(
      "silenced_reports",
      "reports",
      "Number of reports of anomalies of which nobody was notified because a silence applied.",
      { signal },
    ),
    unreported: counter(
      "unreported_anomalies",
      "reports",
      "Number of anomaly reports that were left out because their request has too many.",
      { signal },
    ),
    evidenceLeftOut: counter(
      "left_out_evidence",
      "verdicts",
      "Number of verdicts that do not count for incidents because those of their request concern too many streams, resources and ticks.",
      { signal },
    ),
    returned: counter(
      "returned_anomaly_events",
      "records",
      "Number of records that came back from Driftlock itself: log records with the event names driftlock.anomaly and driftlock.incident, and points of metrics that are named driftlock.stream.* or driftlock_stream_*. They pass without a verdict.",
    ),
    reports: counter(
      "anomaly_reports",
      "reports",
      "Number of anomaly reports. An anomaly is reported as open when it begins, at 2, 4, 8, … flagged verdicts and whenever it shows something new, and as ended when it is over.",
      {
        signal,
        channel: channelNames,
        state: ["open", "ended"],
      },
    ),
    seconds: seconds("engine_duration", "Time from a request's arrival at the engine to its verdicts.", {
      signal,
    }),
    streams: gauge("streams", "streams", "Number of streams in memory."),
    learning: gauge(
      "streams_learning",
      "streams",
      "Number of streams that have no alarm limits yet and raise no alarms.",
    ),
    evicted: counter(
      "evicted_streams",
      "streams",
      "Number of streams that were evicted to make room for new ones.",
    ),
    lostStatistics: counter(
      "lost_stream_statistics",
      "streams",
      "Number of evicted streams whose statistics were lost before they could be stored.",
    ),
    graphGaveWay: counter(
      "service_graph_gave_way",
      "entries",
      "Number of operations, calls, open spans and services of service graphs that gave way to newer ones, and of changes that were not told because there are too many.",
    ),
    withheldAlarms: counter(
      "withheld_alarms",
      "alarms",
      "Number of alarms that were withheld because the alarm budget of their stream (stream), of its resource group (group), of its tenant (tenant) or of the process (process) was used up. Of several processes that work together, sinks withhold what the budget of a tenant or of all of them does not pay for (installation).",
      { reason: ["stream", "group", "tenant", "process", "installation"] },
    ),
    bytes: gauge(
      "engine_bytes",
      "bytes",
      "Memory that is allocated for streams and service graphs, within a tenth.",
    ),
    pending: gauge("engine_pending_requests", "requests", "Number of requests in the engine."),
  },

  stream: {
    score: gauge(
      "stream_score",
      "score",
      "The highest score of a stream within the last ten seconds, in the unit of its channel.",
      { ...ofStream, channel: channelNames },
    ),
    limit: gauge(
      "stream_limit",
      "score",
      "The alarm limit for the score of a stream. Absent while there is none.",
      { ...ofStream, channel: channelNames },
    ),
    openAnomalies: gauge(
      "stream_open_anomalies",
      "anomalies",
      "Number of open anomalies of a stream.",
      ofStream,
    ),
    expectedLow: gauge(
      "stream_expected_low",
      "value",
      "The lower end of what is usual, in the latest report of a stream's open anomaly. Absent without one.",
      ofStream,
    ),
    expectedHigh: gauge(
      "stream_expected_high",
      "value",
      "The upper end of what is usual, in the latest report of a stream's open anomaly. Absent without one.",
      ofStream,
    ),
    omitted: gauge(
      "stream_metrics_omitted",
      "streams",
      "Number of streams without metrics of their own because telemetry.stream_metrics is reached.",
    ),
  },

  incidents: {
    open: gauge(
      "open_incidents",
      "incidents",
      "Number of open incidents by severity, and of those that are minor, which notify nobody.",
      { severity: [...severityNames, "minor"] },
    ),
    reports: counter(
      "incidents",
      "incidents",
      "Number of incidents that began, of those that were minor when they began, that ended, and that turned out to be part of another one.",
      { event: ["begun", "minor", "ended", "merged"] },
    ),
    leftOut: counter(
      "left_out_incident_items",
      "items",
      "Number of items from which incidents are formed that exceeded a bound, such as that of members or of open incidents.",
    ),
    late: counter(
      "late_incident_items",
      "items",
      "Number of items from which incidents are formed that came too late to count.",
    ),
  },

  notify: {
    notifications: counter(
      "notifications",
      "messages",
      "Number of notifications that a channel accepted (sent), of attempts that failed (failed), of messages that were given up or had no room (dropped), of incidents that were resolved while a window held them back (withheld), and of incidents that were sent in a summary (summarized).",
      notificationLabels,
    ),
  },

  forward: {
    attempts: counter(
      "forward_attempts",
      "attempts",
      "Number of attempts to send a request downstream, by status code.",
      { signal, code },
    ),
    requests: counter("forwarded_requests", "requests", "Number of requests that the downstream accepted.", {
      signal,
    }),
    bytes: counter(
      "forwarded_bytes",
      "bytes",
      "Size of the requests that the downstream accepted, before compression.",
      { signal },
    ),
    records: counter(
      "forwarded_records",
      "records",
      "Number of records in requests that the downstream, or the queue on disk, accepted.",
      { signal },
    ),
    anomalyEvents: counter(
      "anomaly_events",
      "events",
      "Number of anomalies sent downstream as log records (forwarded), and of those that were not because the downstream refused them or was away for too long (dropped).",
      { result: ["forwarded", "dropped"] },
    ),
    streamMetrics: counter(
      "stream_metrics_requests",
      "requests",
      "Number of requests with the metrics of streams that were sent downstream (forwarded), and of those that were given up (dropped).",
      { result: ["forwarded", "dropped"] },
    ),
    rejected: counter(
      "rejected_records",
      "records",
      "Number of records that the downstream rejected by partial success, or with a part of a divided request.",
      { signal },
    ),
    undelivered: counter(
      "undelivered_requests",
      "requests",
      "Number of requests that were returned to their senders undelivered.",
      { signal, reason: dropReasons },
    ),
    undeliveredRecords: counter(
      "undelivered_records",
      "records",
      "Number of records that were returned to their senders undelivered, by the status code of the answer.",
      { signal, code },
    ),
    deadLetters: counter(
      "dead_letters",
      "requests",
      "Number of requests from the queue on disk that the downstream rejected permanently and that were stored as dead letters.",
      { signal },
    ),
    lostDeadLetters: counter(
      "lost_dead_letters",
      "requests",
      "Number of requests from the queue on disk that the downstream rejected permanently and that were lost because the dead letters had no room.",
      { signal },
    ),
    oversize: counter(
      "oversize_requests",
      "requests",
      "Number of forwarded requests that are larger than forward.max_request_size and cannot be divided.",
      { signal },
    ),
    damaged: counter(
      "queue_damaged_bytes",
      "bytes",
      "Size of the parts of the queue on disk that held no whole request.",
    ),
    seconds: seconds(
      "forward_duration",
      "Time until the downstream accepted a request, including waiting and retries.",
      { signal },
    ),
    queueBytes: gauge(
      "queue_bytes",
      "bytes",
      "Size of the requests in memory that wait for delivery or are being delivered.",
    ),
    queueDiskBytes: gauge(
      "queue_disk_bytes",
      "bytes",
      "Size of the requests on disk that wait for delivery or are being delivered.",
    ),
    queueUsed: gauge(
      "queue_used_ratio",
      "",
      "The used part of the queue's size, from 0 to 1: of forward.queue.max_size, or with the queue on disk of forward.queue.disk.max_size by the signal that uses most. Senders receive retryable errors once it is full.",
    ),
    queued: gauge("queue_requests", "requests", "Number of requests that wait for delivery."),
    inflight: gauge("forward_inflight_requests", "requests", "Number of requests that are being delivered."),
    up: gauge("downstream_up", "", "1 if the downstream responds, 0 otherwise."),
  },

  store: {
    dataDirPresent: gauge(
      "data_dir_present",
      "",
      "1 while data_dir and its files are those that were opened at the start, 0 otherwise.",
    ),
    up: gauge("store_up", "", "1 if the store responds, 0 otherwise."),
    pending: gauge("store_pending_reports", "reports", "Number of anomaly reports that wait to be stored."),
    written: counter("store_written_reports", "reports", "Number of anomaly reports that were stored."),
    dropped: counter(
      "store_dropped_reports",
      "reports",
      "Number of anomaly reports that were lost because the store was unavailable or slow for too long.",
    ),
    rejected: counter(
      "store_rejected_reports",
      "reports",
      "Number of anomaly reports that were lost because the database rejected them.",
    ),
    pendingIncidents: gauge(
      "store_pending_incidents",
      "incidents",
      "Number of incidents and changes that wait to be stored.",
    ),
    droppedIncidents: counter(
      "store_dropped_incidents",
      "incidents",
      "Number of incidents and changes that were lost because the store was unavailable for too long.",
    ),
    rejectedIncidents: counter(
      "store_rejected_incidents",
      "incidents",
      "Number of incidents and changes that were lost because the database rejected them.",
    ),
    droppedCalls: counter(
      "store_dropped_llm_calls",
      "calls",
      "Number of calls of language models that were not stored because the store was unavailable or slow for too long.",
    ),
    auditEntries: gauge("audit_entries", "entries", "Number of entries in the audit logs of all tenants."),
    alteredAuditLogs: gauge(
      "audit_altered_logs",
      "tenants",
      "Number of tenants whose audit log no longer has an entry that was recorded outside of the database.",
    ),
    auditHeads: gauge(
      "audit_heads_info",
      "",
      "Always 1. The label is the SHA-256 of the heads of all audit logs, as `driftlock audit heads` prints them.",
      { sha256: [] },
    ),
  },

  api: {
    listeners: gauge("live_listeners", "connections", "Number of connections that listen to live events."),
    refusedListeners: counter(
      "live_refused_listeners",
      "connections",
      "Number of listeners that were refused because there were too many.",
    ),
    droppedListeners: counter(
      "live_dropped_listeners",
      "connections",
      "Number of listeners that were disconnected: because they read too slowly (slow), were displaced by other listeners (crowded), were no longer allowed to listen (refused), or the process ended (shutdown).",
      { reason: ["slow", "crowded", "refused", "shutdown"] },
    ),
    connections: gauge("api_connections", "connections", "Number of open connections of the API."),
    refusedConnections: counter(
      "api_refused_connections",
      "connections",
      "Number of API connections that were closed at once because there were too many.",
    ),
    displacedConnections: counter(
      "api_displaced_connections",
      "connections",
      "Number of idle API connections that were closed because another connection needed the place.",
    ),
  },

  kafka: {
    consumed: counter(
      "kafka_consumed_records",
      "records",
      "Number of records of topics that were judged (in), delivered (out), stored (anomalies, statistics), or received from topics of receive.kafka (received). A record of a topic is a request or a page of findings.",
      { topic: consumedTopics },
    ),
    produced: counter(
      "kafka_produced_records",
      "records",
      "Number of records that were written to topics, by topic.",
      { topic: producedTopics },
    ),
    replayed: counter(
      "kafka_replayed_records",
      "records",
      "Number of records of the topic in that were judged again, without reporting anything, after their partition was taken over.",
    ),
    skipped: counter(
      "kafka_skipped_records",
      "records",
      "Number of records that were left out: malformed or unknown ones (in), requests that the downstream refused permanently (out), and messages of topics of receive.kafka that are malformed or too large (received).",
      { topic: skippedTopics },
    ),
    failures: counter(
      "kafka_failures",
      "failures",
      "Number of times that the work on a partition ended with an error and was begun again, by the topic that is read.",
      { topic: consumedTopics },
    ),
    fenced: counter(
      "kafka_fenced_commits",
      "transactions",
      "Number of transactions of a worker that were refused because another process had taken its partition over.",
    ),
    takeOver: seconds(
      "kafka_takeover",
      "Time in which a worker took a partition over: fenced the former owner and restored what the streams have learned.",
      {},
    ),
    partitions: gauge(
      "kafka_partitions",
      "partitions",
      "Number of partitions that the process has, by the topic that is read.",
      { topic: consumedTopics },
    ),
    lag: gauge(
      "kafka_lag_records",
      "records",
      "Number of records that wait in the partitions that the process has, by the topic that is read.",
      { topic: consumedTopics },
    ),
  },

  process: {
    build: gauge("build_info", "", "Always 1. The labels are the versions in use.", {
      version: [],
      node: [],
      openzl: [],
      zstd: [],
      lz4: [],
    }),
    limitsShared: gauge("limits_shared", "", "1 while limits are shared through limits.store, 0 otherwise."),
    limitsStoreFailures: counter(
      "limits_store_failures",
      "failures",
      "Number of connections and exchanges with limits.store that failed.",
    ),
    usageEvents: gauge(
      "usage_events",
      "events",
      "Number of events of usage that were not reported for payment, of those that the provider has refused, and of those that it may or may not have taken.",
      { state: ["due", "refused", "unclear"] },
    ),
  },
} as const;
