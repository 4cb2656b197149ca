/** Starts and stops the sidecar: receivers, engine, forwarder, store and API. */
import { Access } from "../access/access.ts";
import { Metering } from "../access/metering.ts";
import type { AnomalySink } from "../anomaly/report.ts";
import { LiveHub } from "../api/live/hub.ts";
import { liveSink, publishAnomaly, publishIncident } from "../api/live/publish.ts";
import { startProbes } from "../api/probes.ts";
import { type Component, startApi } from "../api/server.ts";
import { ServiceGraph } from "../api/service-graph.ts";
import { endsWithin, maxTimerMs } from "../base/deadline.ts";
import { createStripe, Plans, UsageReporter } from "../billing/index.ts";
import { meters } from "../config/schema/billing.ts";
import type { Config } from "../config/schema.ts";
import { DataDir } from "../data-dir/data-dir.ts";
import { Engine, installationHashKey, SilenceClock, snapshotFormat } from "../engine/index.ts";
import { CheckpointPublisher } from "../evidence/checkpoints.ts";
import { MakingThread } from "../evidence/making.ts";
import { EvidenceQueue } from "../evidence/queue.ts";
import { Reporting } from "../evidence/reports/index.ts";
import { SigningKeys } from "../evidence/signing-keys.ts";
import { startForwarder } from "../forward/index.ts";
import { IncidentFormer } from "../incidents/former.ts";
import type { AnomalyJson } from "../json/anomaly-schema.ts";
import type { IncidentJson } from "../json/incident-schema.ts";
import { native } from "../native.ts";
import { changeNoticeOf, incidentNotices } from "../notify/index.ts";
import { Code, type Consumer } from "../otlp/protocol.ts";
import { enginePrivacy, policyStatement } from "../privacy/policy.ts";
import { startReceivers } from "../receive/index.ts";
import { type AnomalyDetail, type AnomalyPatch, anomalySink, openStore, StreamFeed } from "../store/index.ts";
import { forwardHooks, receiveHooks } from "../telemetry/hooks.ts";
import type { Logger } from "../telemetry/log.ts";
import { createMetrics, type Metrics } from "../telemetry/metrics.ts";
import { withheldBy } from "../telemetry/sources.ts";
import { StreamMetrics } from "../telemetry/stream-metrics.ts";
import { startTracing } from "../telemetry/traces.ts";
import { versions as allVersions } from "../version.ts";
import { AnomalyEvents } from "./anomaly-events.ts";
import { notificationChannels } from "./channels.ts";
import { Feedback } from "./feedback.ts";
import { IncidentState } from "./incident-state.ts";
import { type IncidentSink, Incidents } from "./incidents.ts";
import { startNotifications } from "./notifications.ts";
import { Peers } from "./peers.ts";
import { type Counts, Pipeline, type Undelivered } from "./pipeline.ts";
import { componentStates } from "./readiness.ts";
import { Rules } from "./rules.ts";
import { Snapshots } from "./snapshots.ts";
import { StreamMetricsExport } from "./stream-metrics-export.ts";

export interface SidecarOptions {
  log: Logger;
  onAnomaly?: readonly AnomalySink[];
  onIncident?: readonly IncidentSink[];
  /** Takes the requests that arrive, instead of this process. */
  take?: Consumer;
  /** What the process does beside this. */
  host?: Host;
  /** Called after a person has decided about an anomaly. It returns quickly and never throws. */
  onJudgement?: (anomaly: AnomalyDetail, patch: AnomalyPatch) => void;
}

/** A process that does more than this, and has one set of metrics and probes. */
export interface Host {
  metrics: Metrics;
  components(): Component[];
  alive(): boolean;
}

export interface Remainder extends Undelivered {
  /** Size of what waits in the queue on disk for the next start. */
  storedBytes: number;
  /** The part of it that no next start will find, because `data_dir` has been removed or replaced. */
  displacedBytes: number;
}

export interface Sidecar {
  /** The addresses that were bound, as host:port; undefined if the configuration disables one. */
  addresses: Readonly<Record<"grpc" | "http" | "api" | "health", string | undefined>>;
  /** Returns the counts of records since the start, and of the engine's streams now. */
  stats(): Counts & { streams: number; learning: number };
  /**
   * Accepts no more requests, waits up to half of `shutdown_timeout` for pending ones, gives up the rest, and saves what
   * streams have learned. It takes at most `shutdown_timeout`, or that half and a second if this is longer. Resolves to what was
   * accepted and not delivered: its senders have received errors, or it is on disk. A second call waits for the first.
   */
  close(): Promise<Remainder>;
}

/** How often the state of the gRPC health service is updated. */
const healthMs = 1_000;

/** The least time that is left to save and close everything once delivery has ended. */
const minClosingMs = 1_000;

/** How long senders may take to receive their answers once delivery has ended. */
const answerMs = 500;

/** How long the last spans may take if the start fails. */
const spansMs = 1_000;

/** Milliseconds since 1970 by a clock that never runs backwards, so that time passes for the engine while the process is restarted. */
const monotonicMs = (): number => performance.timeOrigin + performance.now();

/**
 * Starts everything that `config` enables. It accepts requests once the promise resolves.
 * @throws {Error} that names the key and the remedy; what had started is closed again.
 */
export async function startSidecar(
  config: Config,
  { log, onAnomaly = [], onIncident = [], onJudgement, take, host }: SidecarOptions,
): Promise<Sidecar> {
  const { receive, detect, forward, telemetry, auth } = config;
  const versions = allVersions(native.versions);
  const metrics = host?.metrics ?? createMetrics(versions);
  // What has to be undone if the start fails, last first.
  const started: (() => Promise<unknown>)[] = [];
  let closing = false;

  try {
    // This is first, because it keeps other processes out of the files that the rest writes.
    const dataDir = await DataDir.open(config.data_dir, log);
    started.push(async () => dataDir.close());
    const forwarder = await startForwarder(forward, forwardHooks(metrics, log), config.data_dir);
    started.push(() => forwarder.close(0));
    const store = await openStore(config, { log, versions });
    started.push(() => store.close());
    if (config.store.url === undefined) await dataDir.watch("driftlock.db");
    const access = new Access(auth, store, log);
    const plans = await Plans.start(config, store.billing, log);
    started.push(async () => plans.close());
    const metering = new Metering(config.limits, plans.limitsOf, store.usage, log);
    started.push(() => metering.close());
    const { limiter } = metering;
    const { stripe } = config.billing;
    const billing = stripe === undefined ? undefined : await createStripe({ ...config.billing, stripe });
    const reported = meters.filter((meter) => config.billing.meters[meter] !== undefined);
    const usageReporter =
      billing && new UsageReporter({ provider: billing, billing: store.billing, meters: reported, log });
    usageReporter?.start();
    if (usageReporter) started.push(() => usageReporter.close());
    const hub = new LiveHub<AnomalyJson>({}, await store.anomalies.latestChange());
    started.push(async () => hub.close());
    const incidentHub = new LiveHub<IncidentJson>({}, await store.incidents.latestChange());
    started.push(async () => incidentHub.close());
    store.incidentWriter.onStored = (stored) => {
      for (const incident of stored) {
        publishIncident(incidentHub, "incident", incident);
        store.announcements.announce("incidents", incident.message.tenant, [incident.message.id]);
      }
    };
    const key = installationHashKey(config);
    const privacy = enginePrivacy(config.privacy, key);
    const engine = detect.enabled
      ? new Engine(detect, {
          mode: forward.mode,
          streamsPerTenant: config.limits.streams,
          privacy,
          llm: config.llm,
          key,
          clock: monotonicMs,
          // Receivers and the events API hand each body over and never touch it again.
          readInPlace: true,
          recordings: true,
        })
      : undefined;
    if (engine) started.push(() => engine.close());
    const snapshots = engine ? await Snapshots.start(engine, config, dataDir, log) : undefined;
    if (snapshots) started.push(async () => snapshots.stop());
    const rules = await Rules.start({ store, engine, silences: config.silences, log });
    started.push(async () => rules.close());
    const streamMetrics =
      telemetry.stream_metrics === undefined ? undefined : new StreamMetrics(telemetry.stream_metrics);
    if (streamMetrics) metrics.watchStreams(streamMetrics);
    const metricsExport =
      streamMetrics && forward.stream_metrics
        ? new StreamMetricsExport({
            forwarder,
            metrics,
            streams: streamMetrics,
            source: {
              service: telemetry.service_name,
              environment: telemetry.environment,
              version: versions.version,
            },
            log,
          })
        : undefined;
    if (metricsExport) started.push(async () => metricsExport.close());
    const statistics = async (most: number) => {
      const page = await engine!.statistics(most);
      streamMetrics?.update(page.streams);
      return page;
    };
    const feed = engine ? new StreamFeed({ statistics }, store.streams, log) : undefined;
    if (feed) started.push(async () => feed.stop());
    const tracing = await startTracing(telemetry, versions.version);
    if (tracing) started.push(() => endsWithin(spansMs, tracing.close()));
    const events =
      engine && forward.anomaly_events
        ? new AnomalyEvents({ forwarder, metrics, version: versions.version, log })
        : undefined;
    const { channels, windows, notifier } = startNotifications({
      notify: config.notify,
      privacy: () => privacy,
      downstream: { forwarder, version: versions.version },
      store,
      metrics,
      log,
    });
    if (notifier) started.push(() => notifier.close());
    const graph = new ServiceGraph();
    const former = new IncidentFormer({
      perTenantPerDay: config.incidents.budget.per_tenant_per_day,
      seed: BigInt(detect.seed),
    });
    const incidents = engine
      ? await Incidents.start({
          former,
          state: new IncidentState(former, dataDir, log),
          graph,
          store,
          sinks: [...(notifier ? [incidentNotices(notifier, config.notify.public_url)] : []), ...onIncident],
          silencedBy: (incident) => rules.silenceOf(incident),
          log,
        })
      : undefined;
    if (incidents) started.push(() => incidents.close());
    const pipeline = new Pipeline({
      engine,
      forwarder,
      metrics,
      tracer: tracing?.tracer,
      // The end of an anomaly counts, whatever is silenced meanwhile.
      sinks: [anomalySink(store), liveSink(hub), ...(streamMetrics ? [streamMetrics.end] : [])],
      notifiers: [
        ...(events ? [events.offer] : []),
        ...(streamMetrics ? [streamMetrics.offer] : []),
        ...onAnomaly,
      ],
      silenced: (report) => rules.silence(report),
      ...(incidents && { onEvidence: incidents.add }),
      onNotable: (finding) => store.notable.offer(finding),
      onCalls: ({ calls }) => {
        for (const call of calls) store.llm.offer(call);
      },
      meter: metering,
      onJudge: (tenant) => silence?.touch(tenant),
    });
    const feedback = engine
      ? new Feedback({ engine, incidents, store, emit: pipeline.emit, log }, snapshots?.savedAt ?? Date.now())
      : undefined;
    if (feedback) started.push(() => feedback.close());
    const peers = new Peers({
      store,
      hub,
      incidentHub,
      onJudgement: () => void feedback?.refresh(),
      onRules: () => void rules.refresh(),
      log,
    });
    store.announcements.listen(peers);
    started.push(() => peers.close());
    const silence = engine ? new SilenceClock(engine, pipeline.report, log) : undefined;
    silence?.start();
    if (silence) started.push(async () => silence.close());
    const hooks = receiveHooks(metrics, log);
    const receivers = await startReceivers(
      receive,
      take ?? pipeline.take,
      {
        ...hooks,
        onRequest(answered) {
          hooks.onRequest(answered);
          if (answered.code === Code.UNAVAILABLE || answered.code === Code.RESOURCE_EXHAUSTED)
            silence?.refused();
        },
      },
      async (sender) => {
        const { tenant } = await access.admit(sender, "ingest");
        limiter.admitIngest(tenant);
        return tenant;
      },
    );
    started.push(() => receivers.close(0));
    metrics.watch({
      receivers: () => receivers.inWork(),
      engine: () => engine?.stats(),
      withheld: () => withheldBy(engine?.stats()),
      forwarder: () => forwarder.state(),
      storeUp: () => store.health().ready,
      writer: () => store.writer.state(),
      incidentWriter: () => store.incidentWriter.state(),
      droppedCalls: () => store.llm.dropped,
      incidents: () => former.stats(),
      audit: () => store.auditHeads(),
      listeners: () => ({ now: hub.readers, ...hub.counts }),
      limits: () => metering.sharing(),
      usageEvents: () => usageReporter?.unsent ?? {},
      dataDir: () => dataDir.fault === undefined,
    });

    const { grpc, http } = receivers.addresses;
    const endpoint = [forward.endpoint, ...forward.failover_endpoints].join(" or ");
    const readiness = () => [
      ...componentStates({
        closing,
        addresses: [grpc, http],
        engine,
        pipeline,
        endpoint,
        forwarder: forwarder.state(),
        store,
        dataDir,
        sharing: metering.sharing(),
      }),
      ...(host?.components() ?? []),
    ];
    const reporting = await Reporting.whenNeeded(config);
    const keys = new SigningKeys(config);
    const checkpoints = new CheckpointPublisher({ evidence: config.evidence, store, keys, log });
    started.push(() => checkpoints.close());
    const making = new MakingThread({ config, versions, snapshotFormat }, { store, log });
    started.push(() => making.close());
    const evidence = new EvidenceQueue({
      make: making.make,
      privacy: () => policyStatement(config.privacy, engine?.stats().privacy ?? {}),
    });
    const { engine_stuck_after: stuckAfter } = config.health;
    const alive = () => (stuckAfter === 0 || pipeline.stuckFor < stuckAfter) && host?.alive() !== false;
    const updateHealth = () => receivers.setServing(readiness().every(({ ready }) => ready));
    const healthTimer = receive.grpc.health ? setInterval(updateHealth, healthMs).unref() : undefined;
    const api = config.api.enabled
      ? await startApi({
          config: config.api,
          open: !auth.enabled,
          access,
          limiter,
          store,
          plans,
          billing,
          evidence,
          reporting,
          hub,
          incidentHub,
          graph,
          registry: metrics.registry,
          versions,
          readiness,
          alive,
          take: receivers.take,
          sharedKeys: config.limits.store,
          async onRules(tenant) {
            await rules.refresh();
            store.announcements.announce("rules", tenant);
          },
          notifications: notificationChannels(config.notify, channels, windows),
          configuredSilences: (tenant) => rules.configuredSilences(tenant),
          onJudgement(anomaly, patch) {
            publishAnomaly(hub, "judgement", anomaly);
            store.announcements.announce("judgements", anomaly.tenant, [anomaly.id]);
            void feedback?.refresh();
            onJudgement?.(anomaly, patch);
          },
          onIncidentJudgement(incident, patch) {
            publishIncident(incidentHub, "judgement", incident);
            const { tenant, id } = incident.message;
            store.announcements.announce("judgements", tenant, [id]);
            if (patch.state === "expected" || patch.state === "withdrawn") incidents?.judge(incident, patch);
            void feedback?.refresh();
          },
          onChange(change) {
            incidents?.post(change);
            notifier?.offer(changeNoticeOf(change));
          },
          log,
        })
      : undefined;
    if (api) {
      metrics.watchApi(() => ({ open: api.connections.size, ...api.connections.counts }));
      started.push(() => api.close());
    }
    const { endpoint: healthEndpoint } = config.health;
    const probes =
      healthEndpoint === undefined
        ? undefined
        : await startProbes(healthEndpoint, { readiness, alive, stuckAfter, registry: metrics.registry });
    if (!auth.enabled) {
      log.info("auth.enabled is false: anyone who reaches this process may send, read and change data");
    }

    const close = async (): Promise<Remainder> => {
      closing = true;
      clearInterval(healthTimer);
      silence?.close();
      receivers.setServing(false);
      pipeline.drain();
      rules.close();
      void peers.close();
      void feedback?.close();
      metricsExport?.close();
      const start = performance.now();
      const total = Math.min(config.shutdown_timeout, maxTimerMs);
      const deliveryMs = total / 2;
      const end = start + Math.max(total, deliveryMs + minClosingMs);
      const left = () => Math.max(0, end - performance.now());
      const drained = receivers.close(deliveryMs + answerMs);
      await endsWithin(deliveryMs, drained);
      // If time is up, the senders of pending requests receive errors, and what the engine still returns goes no further.
      // Otherwise all senders have been answered, and what is on its way from the disk may arrive.
      engine?.cancel();
      await events?.close(Math.max(answerMs, start + deliveryMs - performance.now()));
      await endsWithin(left(), forwarder.close(Math.max(0, start + deliveryMs - performance.now())));
      await endsWithin(Math.min(answerMs, left()), drained);
      const undelivered = pipeline.undelivered();
      if (pipeline.judgingFor === 0) {
        await feed?.close(left() / 4);
        await snapshots?.close(left() * 0.75);
        if (engine) await endsWithin(left(), engine.close());
      } else {
        log.error(
          "the engine is stuck in a request; what streams have learned since the last snapshot is lost",
        );
        feed?.stop();
        snapshots?.stop();
        void engine?.close();
      }
      if (incidents) await endsWithin(left() / 4, incidents.close());
      if (notifier) await endsWithin(left() / 4, notifier.close());
      if (usageReporter) await endsWithin(left() / 4, usageReporter.close());
      plans.close();
      const listeners = Promise.all([api?.close(), probes?.close(), metering.close(), tracing?.close()]);
      await endsWithin(left() / 2, listeners);
      hub.close();
      incidentHub.close();
      await endsWithin(left() / 2, checkpoints.close());
      await endsWithin(left(), store.close());
      const inPlace = await dataDir.check();
      dataDir.close();
      const { storedBytes } = forwarder.state();
      return { ...undelivered, storedBytes, displacedBytes: inPlace ? 0 : storedBytes };
    };
    let closed: Promise<Remainder> | undefined;
    return {
      addresses: { grpc, http, api: api?.address, health: probes?.address },
      stats() {
        const { streams, learning } = engine?.stats() ?? { streams: 0, learning: 0 };
        return { ...pipeline.counts, streams, learning };
      },
      close() {
        closed ??= close();
        return closed;
      },
    };
  } catch (error) {
    for (const undo of started.reverse()) await undo();
    throw error;
  }
}
