/** Starts and stops what one of several processes does: the roles of an installation whose processes work together through Kafka. */
import { Access } from "../access/access.ts";
import { Metering } from "../access/metering.ts";
import { startProbes } from "../api/probes.ts";
import type { Component } from "../api/server.ts";
import { Plans } from "../billing/index.ts";
import type { Config } from "../config/schema.ts";
import { configuredHashKey } from "../engine/index.ts";
import { startForwarder } from "../forward/index.ts";
import {
  checkTopics,
  type Group,
  Kafka,
  type KafkaRole,
  LogControl,
  partitionOfTenant,
  Router,
  startForwarding,
  startStoring,
  startWorker,
} from "../kafka/index.ts";
import { native } from "../native.ts";
import { incidentNotices } from "../notify/index.ts";
import { Code, type ExportRequest } from "../otlp/protocol.ts";
import { enginePrivacy } from "../privacy/policy.ts";
import { type ReceiveHooks, startReceivers } from "../receive/index.ts";
import { openStore, type Store } from "../store/index.ts";
import { engineHooks, forwardHooks, kafkaHooks, receiveHooks } from "../telemetry/hooks.ts";
import { incidentLog } from "../telemetry/incident-log.ts";
import type { Logger } from "../telemetry/log.ts";
import { createMetrics, type Metrics } from "../telemetry/metrics.ts";
import { withheldBy } from "../telemetry/sources.ts";
import { versions as allVersions, type Versions } from "../version.ts";
import { AnomalyEvents } from "./anomaly-events.ts";
import { Feedback } from "./feedback.ts";
import { WithheldAlarms } from "./installation-budget.ts";
import { startNotifications } from "./notifications.ts";
import { limitsState, storeState } from "./readiness.ts";
import { Rules } from "./rules.ts";
import { startSidecar } from "./sidecar.ts";
import { FindingsKeeper, FormedIncidents, type Place, StatisticsKeeper } from "./sink.ts";
import { startTopicReceivers } from "./topic-receivers.ts";

export interface Roles {
  /** The addresses that were bound, as host:port. */
  addresses: Readonly<Record<string, string>>;
  /** Rejects if the process cannot go on. */
  failed: Promise<never>;
  /** Completes what was begun, and leaves the rest to other processes. */
  close(): Promise<void>;
}

/** How often routers say that time passes. */
const timeMs = 10_000;
/** How long senders may take to receive their answers. */
const answerMs = 5_000;

type Undo = () => Promise<unknown>;

interface Process {
  config: Config;
  kafka: Kafka;
  log: Logger;
  versions: Versions;
  /** Those of all roles together. */
  metrics: Metrics;
  /** What the roles depend on, and whether only a restart would help one of them. */
  components: (() => Component)[];
  alive: (() => boolean)[];
  /** What has to be undone at the end, last first. */
  started: Undo[];
  addresses: Record<string, string>;
  failures: Promise<never>[];
}

/**
 * Starts the roles. They do their work once the promise resolves.
 * @throws {Error} that names the key and the remedy; what had started is closed again.
 */
export async function startRoles(config: Config, roles: ReadonlySet<KafkaRole>, log: Logger): Promise<Roles> {
  checkRoles(config, roles);
  const faults = await checkTopics(config);
  if (faults.length > 0) throw new Error(`kafka: ${faults.join("\n")}`);
  const kafka = await Kafka.load(config.kafka);
  const started: Undo[] = [];
  const versions = allVersions(native.versions);
  const process: Process = {
    config,
    kafka,
    log,
    versions,
    metrics: createMetrics(versions),
    components: [],
    alive: [],
    started,
    addresses: {},
    failures: [],
  };
  let closing = false;
  const close = async () => {
    closing = true;
    for (const undo of started.splice(0).reverse()) await undo();
  };
  try {
    if (roles.has("sink")) await runSink(process);
    if (roles.has("forward")) await runForward(process);
    if (roles.has("worker")) runWorker(process);
    if (roles.has("router")) await runRouter(process);
    if (roles.has("api")) await runApi(process);
    else await runProbes(process, () => closing);
  } catch (error) {
    await close();
    throw error;
  }
  return { addresses: process.addresses, failed: Promise.race(process.failures), close };
}

/** @throws {Error} if a role lacks a setting that one process alone can do without. */
function checkRoles({ detect, store }: Config, roles: ReadonlySet<KafkaRole>): void {
  if (roles.has("worker") && detect.key_file === undefined) {
    throw new Error(
      "detect.key_file: workers must share the key of their hashes; write one with `openssl rand -hex 32`, and set detect.key_file of each of them to it",
    );
  }
  if (roles.has("worker") && !detect.enabled) {
    throw new Error("detect.enabled: workers have nothing to do while it is false; set it to true");
  }
  if (["router", "sink", "api"].some((role) => roles.has(role as KafkaRole)) && store.url === undefined) {
    throw new Error(
      "store.url: processes that work together share a PostgreSQL database; set store.url, such as postgres://user@127.0.0.1/driftlock",
    );
  }
}

async function runRouter(process: Process): Promise<void> {
  const { config, kafka, log, metrics, started, addresses } = process;
  const store = await openProcessStore(process);
  // Senders that are known go on for some minutes, and others go to another router or try again: no data must wait for the database.
  process.components.push(() => degradedAtMost(storeState(store)));
  const access = new Access(config.auth, store, log);
  const plans = await Plans.start(config, store.billing, log);
  started.push(async () => plans.close());
  const metering = new Metering(config.limits, plans.limitsOf, store.usage, log);
  started.push(() => metering.close());
  metrics.watch({ limits: () => metering.sharing() });
  if (config.limits.store !== undefined) process.components.push(() => limitsState(metering.sharing()!));
  const router = makeRouter(process);
  process.components.push(() => routerState(router));
  const counts = receiveHooks(metrics, log);
  // Whose requests were refused meanwhile is not silent.
  let refused = false;
  const hooks: ReceiveHooks = {
    ...counts,
    onRequest(answered) {
      counts.onRequest(answered);
      refused ||= answered.code === Code.UNAVAILABLE || answered.code === Code.RESOURCE_EXHAUSTED;
    },
  };
  const consumer = async ({ signal, tenant, body }: ExportRequest) => {
    const records = await router.take({ signal, tenant, body });
    metering.charge(tenant, { records, bytes: body.length });
    metering.countAccepted(tenant, { records, bytes: body.length });
    return undefined;
  };
  const receivers = await startReceivers(config.receive, consumer, hooks, async (sender) => {
    const { tenant } = await access.admit(sender, "ingest");
    metering.limiter.admitIngest(tenant);
    return tenant;
  });
  started.push(() => receivers.close(answerMs));
  metrics.watch({ receivers: () => receivers.inWork() });
  const topics = await startTopicReceivers({
    kafka,
    config,
    consumer,
    admit: (tenant) => metering.limiter.admitIngest(tenant),
    hooks,
    topicHooks: kafkaHooks(metrics, "received"),
    log,
  });
  started.push(() => topics.close());
  for (const group of topics.groups) watchGroup(process, "received", group);
  const clock = setInterval(() => {
    if (!refused) router.control({ kind: "time" }).catch(() => {});
    refused = false;
  }, timeMs).unref();
  started.push(async () => clearInterval(clock));
  const { grpc, http } = receivers.addresses;
  Object.assign(addresses, { ...(grpc && { grpc }), ...(http && { http }) });
}

function runWorker(process: Process): void {
  const { config, kafka, log, metrics, started } = process;
  const key = configuredHashKey(config.detect);
  const { onJudged, onAnswer, onReport } = engineHooks(metrics);
  const { group, engines } = startWorker({
    kafka,
    config,
    key,
    privacy: enginePrivacy(config.privacy, key),
    hooks: {
      ...kafkaHooks(metrics, "in"),
      onJudged(signal, outcome, seconds) {
        onJudged(signal, outcome);
        onAnswer(signal, seconds);
      },
      onReport,
    },
    log,
  });
  started.push(() => group.close());
  watchGroup(process, "in", group);
  const stuckAfter = config.health.engine_stuck_after;
  process.alive.push(() => stuckAfter === 0 || group.state().judgingFor < stuckAfter);
  metrics.watch({ engine: () => engines.stats(), withheld: () => withheldBy(engines.stats()) });
}

async function runForward(process: Process): Promise<void> {
  const { config, kafka, log, metrics, started } = process;
  const exporter = await startForwarder(
    inMemory(config.forward),
    forwardHooks(metrics, log),
    config.data_dir,
  );
  started.push(() => exporter.close(answerMs));
  metrics.watch({ forwarder: () => exporter.state() });
  const hooks = kafkaHooks(metrics, "out");
  const forwarding = startForwarding({ kafka, config: config.kafka, exporter, hooks, log });
  started.push(() => forwarding.close());
  watchGroup(process, "out", forwarding);
}

async function runSink(process: Process): Promise<void> {
  const { config, kafka, log, versions, metrics, started } = process;
  const store = await openProcessStore(process);
  process.components.push(() => storeState(store));
  metrics.watch({
    writer: () => store.writer.state(),
    incidentWriter: () => store.incidentWriter.state(),
    droppedCalls: () => store.llm.dropped,
  });
  const router = makeRouter(process);
  const control = new LogControl(router);
  const rules = await Rules.start({ store, engine: control, silences: config.silences, log });
  started.push(async () => rules.close());
  const forwarder = await startForwarder(
    inMemory(config.forward),
    forwardHooks(metrics, log),
    config.data_dir,
  );
  started.push(() => forwarder.close(answerMs));
  const { notifier } = startNotifications({
    notify: config.notify,
    privacy: () => enginePrivacy(config.privacy, configuredHashKey(config.detect)),
    downstream: { forwarder, version: versions.version },
    store,
    metrics,
    log,
  });
  if (notifier) started.push(() => notifier.close());
  const events = config.forward.anomaly_events
    ? new AnomalyEvents({ forwarder, metrics, version: versions.version, log })
    : undefined;
  if (events) started.push(() => events.close(answerMs));
  const sinks = [
    incidentLog(log),
    ...(notifier ? [incidentNotices(notifier, config.notify.public_url)] : []),
  ];
  const keepers = new Map<number, FindingsKeeper>();
  const feedback = new Feedback(
    {
      engine: control,
      incidents: {
        judge(incident, patch) {
          const { tenant } = incident.message;
          keepers.get(partitionOfTenant(tenant, config.kafka.partitions))?.judge(incident, patch);
        },
      },
      store,
      emit: () => {},
      log,
    },
    // What was decided while no sink ran, or has been handed over before, which workers know.
    Date.now() - config.kafka.retention,
  );
  started.push(() => feedback.close());
  store.announcements.listen({
    heard({ kind }) {
      if (kind === "judgements") void feedback.refresh();
      if (kind === "rules") void rules.refresh();
    },
    missed() {
      void feedback.refresh();
      void rules.refresh();
    },
  });
  const { onSilenced } = engineHooks(metrics);
  const withheld = new WithheldAlarms();
  const incidents = new FormedIncidents();
  metrics.watch({ withheld: () => ({ installation: withheld.count }), incidents: () => incidents.stats() });
  const storing = {
    anomalies: (place: Place) => {
      const notifiers = events ? [events.offer] : [];
      const parts = { config, store, rules, sinks, notifiers, onSilenced, withheld, incidents, log };
      const keeper = new FindingsKeeper(parts, place);
      keepers.set(place.partition, keeper);
      return keeper;
    },
    statistics: (place: Place) => new StatisticsKeeper(store, place),
  };
  for (const topic of ["anomalies", "statistics"] as const) {
    const hooks = kafkaHooks(metrics, topic);
    const group = startStoring({
      kafka,
      config: config.kafka,
      topic,
      makeKeeper: storing[topic],
      hooks,
      log,
    });
    started.push(() => group.close());
    watchGroup(process, topic, group);
  }
}

/** Serves the API and the dashboard. What clients send to it goes through the log as well. */
async function runApi(process: Process): Promise<void> {
  const { config, log, metrics, components, alive, started, addresses } = process;
  const router = makeRouter(process);
  const host = {
    metrics,
    // Whoever looks at the dashboard does not need the brokers.
    components: () => [
      ...components.map((read) => read()),
      ...(router.fault === undefined ? [] : [degradedAtMost(routerState(router))]),
    ],
    alive: () => alive.every((each) => each()),
  };
  const receive = {
    ...config.receive,
    grpc: { ...config.receive.grpc, enabled: false },
    http: { ...config.receive.http, enabled: false },
  };
  const detect = { ...config.detect, enabled: false };
  const take = async (request: ExportRequest) => {
    await router.take(request);
    return undefined;
  };
  const sidecar = await startSidecar(
    { ...config, receive, detect, forward: inMemory(config.forward) },
    { log, take, host },
  );
  started.push(() => sidecar.close());
  const { api, health } = sidecar.addresses;
  Object.assign(addresses, { ...(api && { api }), ...(health && { health }) });
}

/** Kafka is the queue. */
const inMemory = (forward: Config["forward"]): Config["forward"] => ({
  ...forward,
  queue: { ...forward.queue, storage: "memory" },
});

async function runProbes(process: Process, closing: () => boolean): Promise<void> {
  const { config, metrics, components, alive, started, addresses } = process;
  const { endpoint, engine_stuck_after: stuckAfter } = config.health;
  if (endpoint === undefined) return;
  const probes = await startProbes(endpoint, {
    readiness: () => [
      { name: "roles", ready: !closing(), reason: closing() ? "shutting down" : "working" },
      ...components.map((read) => read()),
    ],
    alive: () => alive.every((each) => each()),
    stuckAfter,
    registry: metrics.registry,
  });
  started.push(() => probes.close());
  addresses.health = probes.address;
}

async function openProcessStore({ config, log, versions, metrics, started }: Process): Promise<Store> {
  const store = await openStore(config, { log, versions });
  started.push(() => store.close());
  metrics.watch({ storeUp: () => store.health().ready });
  return store;
}

function makeRouter({ kafka, config, log, metrics, started }: Process): Router {
  const { produced } = metrics.kafka();
  produced.inc({ topic: "in" }, 0);
  const onProduced = (records: number) => produced.inc({ topic: "in" }, records);
  const router = new Router({ kafka, config, onProduced, log });
  started.push(() => router.close());
  return router;
}

const degradedAtMost = (state: Component): Component => ({
  ...state,
  ready: true,
  degraded: !state.ready || state.degraded === true,
});

function routerState({ fault }: Router): Component {
  const reason = fault === undefined ? "the brokers take requests" : `the brokers take no requests: ${fault}`;
  return { name: "brokers", ready: fault === undefined, reason };
}

/** Shows what the process has of a topic as a member of a group. */
function watchGroup({ metrics, components, failures }: Process, topic: string, group: Group): void {
  failures.push(group.failed);
  metrics.watch({ group: () => ({ topic, ...group.state() }) });
  components.push(() => {
    const { outside, partitions } = group.state();
    const reason = outside === undefined ? `partitions: ${partitions}` : `not in the group: ${outside}`;
    return { name: `topic ${topic}`, ready: outside === undefined, reason };
  });
}
