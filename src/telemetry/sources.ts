/** The parts of a process that are read whenever its metrics are. */
import { sums } from "../base/sums.ts";
import type { EngineStats } from "../native.ts";
import type { Collectors } from "./collectors.ts";
import { definitions } from "./definitions.ts";

/** What each kind of source returns. */
interface Readings {
  receivers: { requests: number; bytes: number };
  /** Undefined if nothing is judged. */
  engine: EngineStats | undefined;
  /** Alarms that budgets withheld, by reason. */
  withheld: Readonly<Record<string, number>>;
  forwarder: {
    inflight: number;
    queued: number;
    queuedBytes: number;
    storedBytes: number;
    used: number;
    healthy: boolean;
  };
  /** Whether `data_dir` is still the folder that was locked. */
  dataDir: boolean;
  /** Whether the store answers. */
  storeUp: boolean;
  /** Anomaly reports on their way to the store. */
  writer: { queued: number; written: number; dropped: number; rejected: number };
  /** Incidents and changes on their way to the store. */
  incidentWriter: { queued: number; dropped: number; rejected: number };
  /** Number of calls of language models that were not stored. */
  droppedCalls: number;
  /** Incidents now, and what became of them since the start. */
  incidents: {
    openBySeverity: Readonly<Record<string, number>>;
    begun: number;
    minor: number;
    ended: number;
    merged: number;
    leftOut: number;
    late: number;
  };
  /** The audit logs of all tenants, as this process knows them. */
  audit: { entries: number; digest: string; altered: number };
  /** Connections that listen to live events now, and those since the start that were refused or disconnected. */
  listeners: { now: number; refused: number; dropped: Readonly<Record<string, number>> };
  /** Undefined if limits are not shared. */
  limits: { shared: boolean; failures: number } | undefined;
  /** Usage that was not reported for payment, by the state of its events. */
  usageEvents: Readonly<Record<string, number>>;
  /** What a process has of a topic as a member of a consumer group. */
  group: { topic: string; partitions: number; lag: number };
}

/** The sources of a part of a process. */
export type Sources = { [K in keyof Readings]?: () => Readings[K] };

/** Alarms that an engine withheld, by the budget that was used up. */
export const withheldBy = (stats: EngineStats | undefined): Record<string, number> => ({
  stream: stats?.withheldByStreams ?? 0,
  group: stats?.withheldByGroups ?? 0,
  tenant: stats?.withheldByTenants ?? 0,
  process: stats?.withheldByProcess ?? 0,
});

const sum = (values: Iterable<number>): number => {
  let all = 0;
  for (const value of values) all += value;
  return all;
};

/**
 * Returns what adds sources. The metrics of a kind exist from its first source on, so that a process shows those of its own parts
 * alone; several sources of a kind count together.
 */
export function watcher({ gauge, gauges, total, totals }: Collectors): (sources: Sources) => void {
  const { receiver, engine, incidents, forward, store, api, process, kafka } = definitions;
  const watched: { [K in keyof Readings]?: (() => Readings[K])[] } = {};
  const read = <K extends keyof Readings>(kind: K): Readings[K][] =>
    (watched[kind] as (() => Readings[K])[]).map((each) => each());
  /** The sum of a number of all sources of a kind. */
  const of =
    <K extends keyof Readings>(kind: K, pick: (reading: Readings[K]) => number) =>
    () =>
      sum(read(kind).map(pick));
  const every =
    <K extends keyof Readings>(kind: K, pick: (reading: Readings[K]) => boolean) =>
    () =>
      Number(read(kind).every(pick));

  const register: { [K in keyof Readings]: () => void } = {
    receivers() {
      gauge(
        receiver.inflightRequests,
        of("receivers", ({ requests }) => requests),
      );
      gauge(
        receiver.inflightBytes,
        of("receivers", ({ bytes }) => bytes),
      );
    },
    engine() {
      const stats = (name: Exclude<keyof EngineStats, "privacy">) =>
        of("engine", (each) => each?.[name] ?? 0);
      gauge(engine.streams, stats("streams"));
      gauge(engine.learning, stats("learning"));
      total(engine.evicted, stats("evicted"));
      total(engine.graphGaveWay, stats("graphGaveWay"));
      total(engine.lostStatistics, stats("untold"));
      gauge(engine.bytes, stats("bytes"));
      gauge(engine.pending, stats("pending"));
    },
    withheld() {
      totals(engine.withheldAlarms, () => sums(read("withheld")));
    },
    forwarder() {
      gauge(
        forward.queueBytes,
        of("forwarder", ({ queuedBytes }) => queuedBytes),
      );
      gauge(
        forward.queueDiskBytes,
        of("forwarder", ({ storedBytes }) => storedBytes),
      );
      gauge(forward.queueUsed, () => Math.max(...read("forwarder").map(({ used }) => used)));
      gauge(
        forward.queued,
        of("forwarder", ({ queued }) => queued),
      );
      gauge(
        forward.inflight,
        of("forwarder", ({ inflight }) => inflight),
      );
      gauge(
        forward.up,
        every("forwarder", ({ healthy }) => healthy),
      );
    },
    dataDir() {
      gauge(store.dataDirPresent, every("dataDir", Boolean));
    },
    storeUp() {
      gauge(store.up, every("storeUp", Boolean));
    },
    writer() {
      gauge(
        store.pending,
        of("writer", ({ queued }) => queued),
      );
      total(
        store.written,
        of("writer", ({ written }) => written),
      );
      total(
        store.dropped,
        of("writer", ({ dropped }) => dropped),
      );
      total(
        store.rejected,
        of("writer", ({ rejected }) => rejected),
      );
    },
    incidentWriter() {
      gauge(
        store.pendingIncidents,
        of("incidentWriter", ({ queued }) => queued),
      );
      total(
        store.droppedIncidents,
        of("incidentWriter", ({ dropped }) => dropped),
      );
      total(
        store.rejectedIncidents,
        of("incidentWriter", ({ rejected }) => rejected),
      );
    },
    droppedCalls() {
      total(
        store.droppedCalls,
        of("droppedCalls", (calls) => calls),
      );
    },
    incidents() {
      gauges(incidents.open, () => sums(read("incidents").map(({ openBySeverity }) => openBySeverity)));
      totals(incidents.reports, () =>
        sums(read("incidents").map(({ begun, minor, ended, merged }) => ({ begun, minor, ended, merged }))),
      );
      total(
        incidents.leftOut,
        of("incidents", ({ leftOut }) => leftOut),
      );
      total(
        incidents.late,
        of("incidents", ({ late }) => late),
      );
    },
    audit() {
      gauge(
        store.auditEntries,
        of("audit", ({ entries }) => entries),
      );
      gauge(
        store.alteredAuditLogs,
        of("audit", ({ altered }) => altered),
      );
      gauges(store.auditHeads, () => Object.fromEntries(read("audit").map(({ digest }) => [digest, 1])));
    },
    listeners() {
      gauge(
        api.listeners,
        of("listeners", ({ now }) => now),
      );
      total(
        api.refusedListeners,
        of("listeners", ({ refused }) => refused),
      );
      totals(api.droppedListeners, () => sums(read("listeners").map(({ dropped }) => dropped)));
    },
    limits() {
      gauge(
        process.limitsShared,
        every("limits", (limits) => limits?.shared ?? false),
      );
      total(
        process.limitsStoreFailures,
        of("limits", (limits) => limits?.failures ?? 0),
      );
    },
    usageEvents() {
      gauges(process.usageEvents, () => sums(read("usageEvents")));
    },
    group() {
      gauges(kafka.partitions, () =>
        sums(read("group").map(({ topic, partitions }) => ({ [topic]: partitions }))),
      );
      gauges(kafka.lag, () => sums(read("group").map(({ topic, lag }) => ({ [topic]: lag }))));
    },
  };

  const add = <K extends keyof Readings>(kind: K, source: () => Readings[K]): void => {
    const known = watched[kind] as (() => Readings[K])[] | undefined;
    if (known !== undefined) {
      known.push(source);
      return;
    }
    Object.assign(watched, { [kind]: [source] });
    register[kind]();
  };
  return (sources) => {
    for (const [kind, source] of Object.entries(sources)) add(kind as keyof Readings, source as never);
  };
}
