/** Driftlock's own metrics, and those of Node. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { channelNames } from "../anomaly/names.ts";
import type { EngineStats } from "../native.ts";
import { Code, signals } from "../otlp/protocol.ts";
import { closeReasons, cutReasons } from "../receive/index.ts";
import type { Versions } from "../version.ts";
import { type Definition, definitions, otherCode, transports } from "./definitions.ts";
import type { StreamMetrics, StreamSeries } from "./stream-metrics.ts";

/** Seconds: from what the engine takes for a small request to what a retried delivery takes. */
const latencyBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const codeNames: ReadonlyMap<number, string> = new Map(
  Object.entries(Code).map(([name, code]) => [code, name]),
);

/** The label of a status code, as in `UNAVAILABLE`; one label for all codes that Driftlock does not know. */
export function codeLabel(code: number): string {
  return codeNames.get(code) ?? otherCode;
}

/** The sources that are read whenever the metrics are. */
export interface Sources {
  receivers(): { requests: number; bytes: number };
  /** Undefined if nothing is judged. */
  engine(): EngineStats | undefined;
  forwarder(): {
    inflight: number;
    queued: number;
    queuedBytes: number;
    storedBytes: number;
    used: number;
    healthy: boolean;
  };
  /** Whether `data_dir` is still the folder that was locked. */
  dataDir(): boolean;
  /** Whether the store answers. */
  storeUp(): boolean;
  /** Anomaly reports on their way to the store. */
  writer(): { queued: number; written: number; dropped: number; rejected: number };
  /** Incidents and changes on their way to the store. */
  incidentWriter(): { queued: number; dropped: number; rejected: number };
  /** Number of calls of language models that were not stored. */
  droppedCalls(): number;
  /** Incidents now, and what became of them since the start. */
  incidents(): {
    openBySeverity: Readonly<Record<string, number>>;
    begun: number;
    minor: number;
    ended: number;
    merged: number;
    leftOut: number;
    late: number;
  };
  /** The audit logs of all tenants, as this process knows them. */
  audit(): { entries: number; digest: string; altered: number };
  /** Connections that listen to live events now, and those since the start that were refused or disconnected. */
  listeners(): { now: number; refused: number; dropped: Readonly<Record<string, number>> };
  /** Undefined if limits are not shared. */
  limits(): { shared: boolean; failures: number } | undefined;
  /** Usage that was not reported for payment, by the state of its events. */
  usageEvents(): Readonly<Record<string, number>>;
}

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics(versions: Versions) {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const options = <L extends string>({ name, help, labels }: Definition<L>) => ({
    name,
    help,
    labelNames: Object.keys(labels) as L[],
    registers,
  });
  const counter = <L extends string>(definition: Definition<L>) => new Counter<L>(options(definition));
  const seconds = <L extends string>(definition: Definition<L>) =>
    new Histogram<L>({ ...options(definition), buckets: latencyBuckets });

  const receiver = {
    requests: counter(definitions.receiver.requests),
    bytes: counter(definitions.receiver.bytes),
    wireBytes: counter(definitions.receiver.wireBytes),
    abortedRequests: counter(definitions.receiver.abortedRequests),
    refusedConnections: counter(definitions.receiver.refusedConnections),
    closedConnections: counter(definitions.receiver.closedConnections),
    seconds: seconds(definitions.receiver.seconds),
  };
  const engine = {
    records: counter(definitions.engine.records),
    flagged: counter(definitions.engine.flagged),
    limited: counter(definitions.engine.limited),
    excluded: counter(definitions.engine.excluded),
    silenced: counter(definitions.engine.silenced),
    unjudged: counter(definitions.engine.unjudged),
    redated: counter(definitions.engine.redated),
    abridged: counter(definitions.engine.abridged),
    unreported: counter(definitions.engine.unreported),
    evidenceLeftOut: counter(definitions.engine.evidenceLeftOut),
    returned: counter(definitions.engine.returned),
    reports: counter(definitions.engine.reports),
    seconds: seconds(definitions.engine.seconds),
  };
  const forward = {
    attempts: counter(definitions.forward.attempts),
    requests: counter(definitions.forward.requests),
    bytes: counter(definitions.forward.bytes),
    records: counter(definitions.forward.records),
    anomalyEvents: counter(definitions.forward.anomalyEvents),
    streamMetrics: counter(definitions.forward.streamMetrics),
    rejected: counter(definitions.forward.rejected),
    undelivered: counter(definitions.forward.undelivered),
    undeliveredRecords: counter(definitions.forward.undeliveredRecords),
    deadLetters: counter(definitions.forward.deadLetters),
    lostDeadLetters: counter(definitions.forward.lostDeadLetters),
    oversize: counter(definitions.forward.oversize),
    damaged: counter(definitions.forward.damaged),
    seconds: seconds(definitions.forward.seconds),
  };

  const notifications = counter(definitions.notify.notifications);

  // An alert can watch a series for an increase only if it exists from the start.
  for (const signal of signals) {
    for (const transport of transports) {
      receiver.requests.inc({ signal, transport, code: "OK" }, 0);
      receiver.bytes.inc({ signal, transport }, 0);
      receiver.wireBytes.inc({ signal, transport }, 0);
    }
    for (const each of [
      engine.records,
      engine.flagged,
      engine.limited,
      engine.excluded,
      engine.unjudged,
      engine.redated,
      engine.abridged,
      engine.silenced,
      engine.unreported,
      engine.evidenceLeftOut,
    ])
      each.inc({ signal }, 0);
    for (const channel of channelNames) engine.reports.inc({ signal, channel, state: "open" }, 0);
    for (const each of [forward.records, forward.rejected]) each.inc({ signal }, 0);
    for (const each of [forward.deadLetters, forward.lostDeadLetters]) each.inc({ signal }, 0);
    forward.undelivered.inc({ signal, reason: "disk_full" }, 0);
  }

  for (const result of ["forwarded", "dropped"] as const) {
    forward.anomalyEvents.inc({ result }, 0);
    forward.streamMetrics.inc({ result }, 0);
  }
  for (const transport of transports) {
    receiver.refusedConnections.inc({ transport }, 0);
    for (const reason of closeReasons) receiver.closedConnections.inc({ transport, reason }, 0);
  }
  for (const reason of cutReasons) receiver.abortedRequests.inc({ reason }, 0);

  const { version, node, codecs } = versions;
  new Gauge(options(definitions.process.build)).set(
    { version, node, openzl: codecs.openzl, zstd: codecs.zstd, lz4: codecs.lz4 },
    1,
  );

  const gauge = (definition: Definition<never>, read: () => number) =>
    new Gauge({
      ...options(definition),
      collect() {
        this.set(read());
      },
    });
  /** A counter whose value is kept by its source. */
  const total = (definition: Definition<never>, read: () => number) =>
    new Counter({
      ...options(definition),
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  /** Such a counter by the values of its label. */
  const totals = <L extends string>(
    definition: Definition<L>,
    read: () => Readonly<Record<string, number>>,
  ) => {
    const [label] = Object.keys(definition.labels) as [L];
    return new Counter<L>({
      ...options(definition),
      collect() {
        this.reset();
        for (const [value, count] of Object.entries(read()))
          this.inc({ [label]: value } as Record<L, string>, count);
      },
    });
  };

  return {
    registry,
    receiver,
    engine,
    forward,
    notifications,

    /** Adds the metrics of single streams. */
    watchStreams(streams: StreamMetrics): void {
      const per = <L extends string>(
        definition: Definition<L>,
        labelsOf: (series: StreamSeries) => Record<L, string>,
        read: (series: StreamSeries) => number | undefined,
      ) =>
        new Gauge<L>({
          ...options(definition),
          collect() {
            this.reset();
            for (const series of streams.series) {
              const value = read(series);
              if (value !== undefined) this.set(labelsOf(series), value);
            }
          },
        });
      const { score, limit, openAnomalies, expectedLow, expectedHigh, omitted } = definitions.stream;
      const ofStream = ({ labels }: StreamSeries) => labels;
      const ofChannel = ({ labels, channel }: StreamSeries) => ({ ...labels, channel });
      per(score, ofChannel, (series) => series.score);
      per(limit, ofChannel, (series) => series.limit || undefined);
      per(openAnomalies, ofStream, ({ open }) => open.size);
      per(expectedLow, ofStream, ({ expected }) => expected?.low);
      per(expectedHigh, ofStream, ({ expected }) => expected?.high);
      gauge(omitted, () => streams.omitted);
    },

    /** Adds the metrics of the API's connections. */
    watchApi(source: () => { open: number; refused: number; displaced: number }): void {
      const { api } = definitions;
      gauge(api.connections, () => source().open);
      total(api.refusedConnections, () => source().refused);
      total(api.displacedConnections, () => source().displaced);
    },

    /** Adds the metrics that are read from `source`. */
    watch(source: Sources): void {
      const { receiver, engine, incidents, forward, store, api, process } = definitions;
      const stats = (name: Exclude<keyof EngineStats, "privacy">) => () => source.engine()?.[name] ?? 0;

      gauge(receiver.inflightRequests, () => source.receivers().requests);
      gauge(receiver.inflightBytes, () => source.receivers().bytes);

      gauge(engine.streams, stats("streams"));
      gauge(engine.learning, stats("learning"));
      total(engine.evicted, stats("evicted"));
      total(engine.graphGaveWay, stats("graphGaveWay"));
      total(engine.lostStatistics, stats("untold"));
      totals(engine.withheldAlarms, () => ({
        stream: stats("withheldByStreams")(),
        group: stats("withheldByGroups")(),
        tenant: stats("withheldByTenants")(),
        process: stats("withheldByProcess")(),
      }));
      gauge(engine.bytes, stats("bytes"));
      gauge(engine.pending, stats("pending"));

      new Gauge({
        ...options(incidents.open),
        collect() {
          const open = Object.entries(source.incidents().openBySeverity);
          for (const [severity, count] of open) this.set({ severity }, count);
        },
      });
      totals(incidents.reports, () => {
        const { begun, minor, ended, merged } = source.incidents();
        return { begun, minor, ended, merged };
      });
      total(incidents.leftOut, () => source.incidents().leftOut);
      total(incidents.late, () => source.incidents().late);

      gauge(forward.queueBytes, () => source.forwarder().queuedBytes);
      gauge(forward.queueDiskBytes, () => source.forwarder().storedBytes);
      gauge(forward.queueUsed, () => source.forwarder().used);
      gauge(forward.queued, () => source.forwarder().queued);
      gauge(forward.inflight, () => source.forwarder().inflight);
      gauge(forward.up, () => Number(source.forwarder().healthy));

      gauge(store.dataDirPresent, () => Number(source.dataDir()));
      gauge(store.up, () => Number(source.storeUp()));
      gauge(store.pending, () => source.writer().queued);
      total(store.written, () => source.writer().written);
      total(store.dropped, () => source.writer().dropped);
      total(store.rejected, () => source.writer().rejected);
      gauge(store.pendingIncidents, () => source.incidentWriter().queued);
      total(store.droppedIncidents, () => source.incidentWriter().dropped);
      total(store.rejectedIncidents, () => source.incidentWriter().rejected);
      total(store.droppedCalls, () => source.droppedCalls());
      gauge(store.auditEntries, () => source.audit().entries);
      gauge(store.alteredAuditLogs, () => source.audit().altered);
      new Gauge({
        ...options(store.auditHeads),
        collect() {
          this.reset();
          this.set({ sha256: source.audit().digest }, 1);
        },
      });

      gauge(api.listeners, () => source.listeners().now);
      total(api.refusedListeners, () => source.listeners().refused);
      totals(api.droppedListeners, () => source.listeners().dropped);

      gauge(process.limitsShared, () => Number(source.limits()?.shared ?? false));
      total(process.limitsStoreFailures, () => source.limits()?.failures ?? 0);
      new Gauge({
        ...options(process.usageEvents),
        collect() {
          for (const [state, count] of Object.entries(source.usageEvents())) this.set({ state }, count);
        },
      });
    },
  };
}
