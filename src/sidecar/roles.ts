/** Starts and stops what one of several processes does: the roles of an installation whose processes work together through Kafka. */
import { Access } from "../access/access.ts";
import { Metering } from "../access/metering.ts";
import { startProbes } from "../api/probes.ts";
import { Plans } from "../billing/index.ts";
import type { Config } from "../config/schema.ts";
import { configuredHashKey } from "../engine/index.ts";
import { startForwarder } from "../forward/index.ts";
import {
  checkTopics,
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
import { openStore } from "../store/index.ts";
import { forwardHooks, receiveHooks } from "../telemetry/hooks.ts";
import { incidentLog } from "../telemetry/incident-log.ts";
import type { Logger } from "../telemetry/log.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import { versions as allVersions } from "../version.ts";
import { Feedback } from "./feedback.ts";
import { startNotifications } from "./notifications.ts";
import { Rules } from "./rules.ts";
import { startSidecar } from "./sidecar.ts";
import { FindingsKeeper, StatisticsKeeper } from "./sink.ts";
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
  const process: Process = { config, kafka, log, started, addresses: {}, failures: [] };
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

async function runRouter({ config, kafka, log, started, addresses, failures }: Process): Promise<void> {
  const versions = allVersions(native.versions);
  const metrics = createMetrics(versions);
  const store = await openStore(config, { log, versions });
  started.push(() => store.close());
  const access = new Access(config.auth, store, log);
  const plans = await Plans.start(config, store.billing, log);
  started.push(async () => plans.close());
  const metering = new Metering(config.limits, plans.limitsOf, store.usage, log);
  started.push(() => metering.close());
  const router = new Router({ kafka, config, log });
  started.push(() => router.close());
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
  const topics = await startTopicReceivers({
    kafka,
    config,
    consumer,
    admit: (tenant) => metering.limiter.admitIngest(tenant),
    hooks,
    log,
  });
  started.push(() => topics.close());
  failures.push(...topics.failed);
  const clock = setInterval(() => {
    if (!refused) router.control({ kind: "time" }).catch(() => {});
    refused = false;
  }, timeMs).unref();
  started.push(async () => clearInterval(clock));
  const { grpc, http } = receivers.addresses;
  Object.assign(addresses, { ...(grpc && { grpc }), ...(http && { http }) });
}

function runWorker({ config, kafka, log, started, failures }: Process): void {
  const key = configuredHashKey(config.detect);
  const worker = startWorker({ kafka, config, key, privacy: enginePrivacy(config.privacy, key), log });
  started.push(() => worker.close());
  failures.push(worker.failed);
}

async function runForward({ config, kafka, log, started, failures }: Process): Promise<void> {
  const metrics = createMetrics(allVersions(native.versions));
  const exporter = await startForwarder(
    inMemory(config.forward),
    forwardHooks(metrics, log),
    config.data_dir,
  );
  started.push(() => exporter.close(answerMs));
  const forwarding = startForwarding({ kafka, config: config.kafka, exporter, log });
  started.push(() => forwarding.close());
  failures.push(forwarding.failed);
}

async function runSink({ config, kafka, log, started, failures }: Process): Promise<void> {
  const versions = allVersions(native.versions);
  const metrics = createMetrics(versions);
  const store = await openStore(config, { log, versions });
  started.push(() => store.close());
  const router = new Router({ kafka, config, log });
  started.push(() => router.close());
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
  const groups = [
    startStoring({
      kafka,
      config: config.kafka,
      topic: "anomalies",
      makeKeeper(place) {
        const keeper = new FindingsKeeper({ config, store, rules, sinks, log }, place);
        keepers.set(place.partition, keeper);
        return keeper;
      },
      log,
    }),
    startStoring({
      kafka,
      config: config.kafka,
      topic: "statistics",
      makeKeeper: (place) => new StatisticsKeeper(store, place),
      log,
    }),
  ];
  for (const group of groups) {
    started.push(() => group.close());
    failures.push(group.failed);
  }
}

/** Serves the API and the dashboard. What clients send to it goes through the log as well. */
async function runApi({ config, kafka, log, started, addresses }: Process): Promise<void> {
  const router = new Router({ kafka, config, log });
  started.push(() => router.close());
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
    { log, take },
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

async function runProbes({ config, started, addresses }: Process, closing: () => boolean): Promise<void> {
  const { endpoint, engine_stuck_after: stuckAfter } = config.health;
  if (endpoint === undefined) return;
  const readiness = () => [
    { name: "roles", ready: !closing(), reason: closing() ? "shutting down" : "working" },
  ];
  const probes = await startProbes(endpoint, { readiness, alive: () => true, stuckAfter });
  started.push(() => probes.close());
  addresses.health = probes.address;
}
