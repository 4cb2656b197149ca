/**
 * Driftlock's own metrics. Labels are bounded: signals, transports, codes, channels and reasons; never a tenant or a
 * stream.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { EngineStats } from "../native.ts";
import { Code, signals } from "../otlp/protocol.ts";
import { closeReasons, cutReasons } from "../receive/hooks.ts";
import type { Versions } from "./version.ts";

export const transports = ["grpc", "http"] as const;

/** Seconds: from what the engine takes for a small request to what a retried delivery takes. */
const latencyBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const codeNames: ReadonlyMap<number, string> = new Map(
  Object.entries(Code).map(([name, code]) => [code, name]),
);

/** The name of a status code, as in `UNAVAILABLE`; one name for all that Driftlock does not know. */
export function codeName(code: number): string {
  return codeNames.get(code) ?? "OTHER";
}

/** What is asked when the metrics are read. */
export interface Gauges {
  receivers(): { requests: number; bytes: number };
  /** Undefined where nothing is judged. */
  engine(): EngineStats | undefined;
  forwarder(): {
    inflight: number;
    queued: number;
    queuedBytes: number;
    storedBytes: number;
    healthy: boolean;
  };
  /** Whether `data_dir` is still the folder that was locked. */
  dataDir(): boolean;
  /** Reports of anomalies on their way into the store. */
  writer(): { queued: number; written: number; dropped: number; rejected: number };
  /** The audit logs of all tenants, as this process knows them. */
  audit(): { entries: number; digest: string; altered: number };
  /** Those who listen to live events, by what ended the others since the start. */
  listeners(): { now: number; refused: number; dropped: Readonly<Record<string, number>> };
  /** Undefined where limits are not to be shared. */
  limits(): { shared: boolean; failures: number } | undefined;
}

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics(versions: Versions) {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter({ name: `driftlock_${name}`, help, labelNames, registers });
  const seconds = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Histogram({
      name: `driftlock_${name}_seconds`,
      help,
      labelNames,
      buckets: latencyBuckets,
      registers,
    });

  const receiver = {
    requests: counter("receiver_requests_total", "Export requests answered, by status code.", [
      "signal",
      "transport",
      "code",
    ]),
    bytes: counter("receiver_bytes_total", "Bytes of export requests as protobuf, decompressed.", [
      "signal",
      "transport",
    ]),
    wireBytes: counter("receiver_wire_bytes_total", "Bytes of export requests as sent.", [
      "signal",
      "transport",
    ]),
    cutRequests: counter(
      "receiver_cut_requests_total",
      "Requests ended while their bodies were on the way: too slow, or stalled while others found no room.",
      ["reason"],
    ),
    refusedConnections: counter(
      "receiver_refused_connections_total",
      "Connections closed at once: no room within receive.limits.max_connections.",
      ["transport"],
    ),
    closedConnections: counter(
      "receiver_closed_connections_total",
      "Connections closed: idle for too long, of a certain age, displaced while idle by a newcomer, an answer left unread, too many requests pipelined, another protocol.",
      ["transport", "reason"],
    ),
    seconds: seconds(
      "receiver_duration",
      "From a request's headers to its answer: engine and downstream included.",
      ["signal", "transport"],
    ),
  };

  const engine = {
    records: counter("receiver_records_total", "Log records, spans and metric points that the engine read.", [
      "signal",
    ]),
    flagged: counter("flagged_records_total", "Records that were flagged.", ["signal"]),
    limited: counter(
      "limited_records_total",
      "Records that passed unjudged: their streams are beyond the tenant's limits.streams.",
      ["signal"],
    ),
    unjudged: counter(
      "unjudged_records_total",
      "Records that passed unjudged: judging the others had taken all the work that one request may.",
      ["signal"],
    ),
    abridged: counter(
      "abridged_records_total",
      "Flagged records that carry the anomaly's id at the most: their requests have more than are annotated whole.",
      ["signal"],
    ),
    unreported: counter(
      "unreported_anomalies_total",
      "Reports of anomalies that were left out: their requests have too many.",
      ["signal"],
    ),
    reports: counter(
      "anomaly_reports_total",
      "Reports of anomalies: open as one begins and at 2, 4, 8, … flagged verdicts, ended when it is over.",
      ["signal", "channel", "state"],
    ),
    seconds: seconds("engine_duration", "From handing a request to the engine to its verdicts.", ["signal"]),
  };

  const forward = {
    attempts: counter("forward_attempts_total", "Attempts to send a request downstream, by status code.", [
      "signal",
      "code",
    ]),
    requests: counter("forwarded_requests_total", "Requests that the downstream took.", ["signal"]),
    bytes: counter(
      "forwarded_bytes_total",
      "Bytes of requests that the downstream took, before compression.",
      ["signal"],
    ),
    records: counter(
      "forwarded_records_total",
      "Records in requests that the downstream took, or the queue on disk.",
      ["signal"],
    ),
    rejected: counter(
      "rejected_records_total",
      "Records that the downstream refused by partial success, or with a part of a divided request.",
      ["signal"],
    ),
    undelivered: counter("undelivered_requests_total", "Requests handed back to their senders undelivered.", [
      "signal",
      "reason",
    ]),
    refused: counter("refused_records_total", "Records handed back to their senders undelivered.", [
      "signal",
      "code",
    ]),
    deadLetters: counter(
      "dead_letters_total",
      "Requests from the queue on disk that the downstream refused for good, kept as dead letters.",
      ["signal"],
    ),
    lostDeadLetters: counter("lost_dead_letters_total", "Those for which the dead letters had no room.", [
      "signal",
    ]),
    oversize: counter(
      "oversize_requests_total",
      "Requests sent on that are larger than forward.max_request_size and cannot be divided.",
      ["signal"],
    ),
    damaged: counter(
      "queue_damaged_bytes_total",
      "Bytes of the queue on disk that held no whole request.",
      [],
    ),
    seconds: seconds(
      "forward_duration",
      "Until the downstream took a request, waiting and retries included.",
      ["signal"],
    ),
  };

  // A series that is there from the start can be alarmed on: from 0 to 1 is a rise.
  for (const signal of signals) {
    for (const transport of transports) {
      receiver.requests.inc({ signal, transport, code: "OK" }, 0);
      receiver.bytes.inc({ signal, transport }, 0);
      receiver.wireBytes.inc({ signal, transport }, 0);
    }
    const { records, flagged, limited, unjudged, abridged, unreported } = engine;
    for (const each of [records, flagged, limited, unjudged, abridged, unreported]) each.inc({ signal }, 0);
    for (const each of [forward.records, forward.rejected]) each.inc({ signal }, 0);
    for (const each of [forward.deadLetters, forward.lostDeadLetters]) each.inc({ signal }, 0);
    forward.undelivered.inc({ signal, reason: "disk_full" }, 0);
  }

  for (const transport of transports) {
    receiver.refusedConnections.inc({ transport }, 0);
    for (const reason of closeReasons) receiver.closedConnections.inc({ transport, reason }, 0);
  }
  for (const reason of cutReasons) receiver.cutRequests.inc({ reason }, 0);

  const build = new Gauge({
    name: "driftlock_build_info",
    help: "1, with the versions as labels.",
    labelNames: ["version", "node", "openzl", "zstd", "lz4"],
    registers,
  });
  const { version, node, codecs } = versions;
  build.set({ version, node, openzl: codecs.openzl, zstd: codecs.zstd, lz4: codecs.lz4 }, 1);

  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: `driftlock_${name}`,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  /** Of what its source counts. */
  const total = (name: string, help: string, read: () => number) =>
    new Counter({
      name: `driftlock_${name}_total`,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });

  return {
    registry,
    receiver,
    engine,
    forward,

    /** Connections of the API. */
    watchApi(source: () => { open: number; refused: number; displaced: number }): void {
      gauge("api_connections", "Connections of the API.", () => source().open);
      total(
        "api_refused_connections",
        "Connections of the API that were closed because there were too many.",
        () => source().refused,
      );
      total(
        "api_displaced_connections",
        "Idle connections of the API that were closed because another needed the place.",
        () => source().displaced,
      );
    },

    /** Gauges that ask `source` when the metrics are read. */
    watch(source: Gauges): void {
      const stats = (name: keyof EngineStats) => () => source.engine()?.[name] ?? 0;
      gauge(
        "receiver_inflight_requests",
        "Requests received and not answered.",
        () => source.receivers().requests,
      );
      gauge("receiver_inflight_bytes", "Bytes that those hold.", () => source.receivers().bytes);
      gauge("streams", "Streams held.", stats("streams"));
      gauge("streams_learning", "Streams that have no limits yet and raise no alarm.", stats("learning"));
      gauge("streams_evicted", "Streams given up for newer ones since the start.", stats("evicted"));
      gauge(
        "streams_untold",
        "Streams whose figures were lost before they could be stored, since the start.",
        stats("untold"),
      );
      new Counter({
        name: "driftlock_alarms_withheld_total",
        help: "Alarms withheld: the stream's budget was spent, or the process's.",
        labelNames: ["reason"],
        registers,
        collect() {
          const { withheldByStreams = 0, withheldByProcess = 0 } = source.engine() ?? {};
          this.reset();
          this.inc({ reason: "stream" }, withheldByStreams);
          this.inc({ reason: "process" }, withheldByProcess);
        },
      });
      gauge("engine_bytes", "Bytes that streams hold.", stats("bytes"));
      gauge("engine_pending_requests", "Requests in the engine.", stats("pending"));
      gauge(
        "queue_bytes",
        "Bytes that wait or are on their way downstream.",
        () => source.forwarder().queuedBytes,
      );
      gauge(
        "queue_disk_bytes",
        "Bytes on disk that wait or are on their way downstream.",
        () => source.forwarder().storedBytes,
      );
      gauge("queue_requests", "Requests that wait to be sent downstream.", () => source.forwarder().queued);
      gauge(
        "forward_inflight_requests",
        "Requests on their way downstream.",
        () => source.forwarder().inflight,
      );
      gauge(
        "data_dir_present",
        "1 while data_dir and its files are those that were opened at the start.",
        () => Number(source.dataDir()),
      );
      gauge("downstream_up", "1 where the downstream answers.", () => Number(source.forwarder().healthy));
      gauge(
        "store_waiting_reports",
        "Reports of anomalies that wait to be stored.",
        () => source.writer().queued,
      );
      total("store_written_reports", "Reports of anomalies stored.", () => source.writer().written);
      total(
        "store_dropped_reports",
        "Reports of anomalies that found no room while the database was away or slow.",
        () => source.writer().dropped,
      );
      total(
        "store_rejected_reports",
        "Reports of anomalies that no database would take.",
        () => source.writer().rejected,
      );
      gauge("audit_entries", "Entries of the audit logs of all tenants.", () => source.audit().entries);
      gauge(
        "audit_altered_logs",
        "Tenants whose audit log no longer has an entry that was recorded outside of the database.",
        () => source.audit().altered,
      );
      new Gauge({
        name: "driftlock_audit_heads_info",
        help: "1, with the SHA-256 of the heads of all audit logs as `driftlock audit heads` prints them.",
        labelNames: ["sha256"],
        registers,
        collect() {
          this.reset();
          this.set({ sha256: source.audit().digest }, 1);
        },
      });
      gauge("live_listeners", "Connections that listen to live events.", () => source.listeners().now);
      total(
        "live_refused_listeners",
        "Listeners refused because there were too many.",
        () => source.listeners().refused,
      );
      new Counter({
        name: "driftlock_live_dropped_listeners_total",
        help: "Listeners dropped: slow, refused after another look at their key, or crowded out by others.",
        labelNames: ["reason"],
        registers,
        collect() {
          this.reset();
          for (const [reason, count] of Object.entries(source.listeners().dropped))
            this.inc({ reason }, count);
        },
      });
      gauge("limits_shared", "1 while limits are shared by limits.store.", () =>
        Number(source.limits()?.shared ?? false),
      );
      total(
        "limits_store_failures",
        "Connections and exchanges with limits.store that failed.",
        () => source.limits()?.failures ?? 0,
      );
    },
  };
}
