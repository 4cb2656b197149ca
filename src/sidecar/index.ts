/** The composition: receivers, engine, forwarder and API, for the CLI, the SDK and tests. */
import { Access } from "../access/access.ts";
import { Metering } from "../access/metering.ts";
import type { SharingState } from "../access/shared-limits.ts";
import type { AnomalySink } from "../anomaly/report.ts";
import { LiveHub } from "../api/live/hub.ts";
import { liveSink, publishJudgement } from "../api/live/publish.ts";
import { startProbes } from "../api/probes.ts";
import { type Component, startApi } from "../api/server.ts";
import { endsWithin, maxTimerMs } from "../base/deadline.ts";
import type { Config } from "../config/schema.ts";
import { DataDir } from "../data-dir/data-dir.ts";
import { Engine, installationHashKey, SilenceClock, SnapshotFile } from "../engine/index.ts";
import { type ForwarderState, startForwarder } from "../forward/index.ts";
import { native } from "../native.ts";
import { Code } from "../otlp/protocol.ts";
import { startReceivers } from "../receive/index.ts";
import {
  type AnomalyDetail,
  type AnomalyPatch,
  anomalySink,
  openStore,
  type Store,
  StreamFeed,
} from "../store/index.ts";
import { forwardHooks, receiveHooks } from "../telemetry/hooks.ts";
import type { Logger } from "../telemetry/log.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import { startTracing } from "../telemetry/traces.ts";
import { versions as allVersions } from "../version.ts";
import { type Counts, Pipeline, type Undelivered } from "./pipeline.ts";

export interface SidecarOptions {
  log: Logger;
  onAnomaly?: readonly AnomalySink[];
  /** Told what a person made of an anomaly: be brief, never throw. */
  onJudgement?: (anomaly: AnomalyDetail, patch: AnomalyPatch) => void;
}

export interface Remainder extends Undelivered {
  /** In the queue on disk, for the next start. */
  storedBytes: number;
  /** Of those, what no next start will find, because `data_dir` has been removed or replaced. */
  displacedBytes: number;
}

export interface Sidecar {
  /** host:port as bound; undefined where the configuration disables it. */
  addresses: Readonly<Record<"grpc" | "http" | "api" | "health", string | undefined>>;
  /** What went through so far, and the engine's streams. */
  stats(): Counts & { streams: number; learning: number };
  /**
   * Takes no more requests, waits up to half of `shutdown_timeout` for those in work, gives up the rest, and saves what
   * streams have learned. Resolves within `shutdown_timeout`, but not sooner than a second after that half, to what was
   * accepted and not delivered: its senders have been told, or it is on disk. A second call waits for the first.
   */
  close(): Promise<Remainder>;
}

/** So long in the engine and a request says that it is stuck: a dead pipeline is not ready within 5 s. */
const stuckMs = 4_000;

/** How often the gRPC health service is told. */
const healthMs = 1_000;

/** What is left, at the least, to save and close everything once delivery has ended. */
const minClosingMs = 1_000;

/** For senders to receive their answers once delivery has ended. */
const answerMs = 500;

/** For the last spans, if the start fails. */
const spansMs = 1_000;

function receiversState(closing: boolean, addresses: (string | undefined)[]): Component {
  const reason = closing ? "shutting down" : `listening on ${addresses.filter(Boolean).join(", ")}`;
  return { name: "receivers", ready: !closing, reason };
}

function engineState(engine: Engine | undefined, pipeline: Pipeline): Component {
  const name = "engine";
  if (engine === undefined) return { name, ready: true, reason: "detect.enabled is false" };
  if (pipeline.judgingFor > stuckMs) {
    return { name, ready: false, reason: `no verdict for ${Math.round(pipeline.judgingFor / 1_000)} s` };
  }
  const { streams, learning } = engine.stats();
  return { name, ready: true, reason: `streams: ${streams}, of which learning: ${learning}` };
}

/** Ready while requests are taken: a downstream that is away is none of the senders' business where they wait on disk. */
function downstreamState(endpoint: string, { healthy, lastError, keeping }: ForwarderState): Component {
  const name = "downstream";
  const reason = healthy ? `${endpoint} answers` : (lastError?.message ?? "no answer yet");
  if (keeping === undefined) return { name, ready: healthy, reason };
  if (!keeping.kept) return { name, ready: false, reason: `${reason}; ${keeping.reason}` };
  if (healthy) return { name, ready: true, reason };
  return { name, ready: true, degraded: true, reason: `${reason}; requests wait on disk: ${keeping.reason}` };
}

function storeState(store: Store): Component {
  return { name: "store", ...store.health() };
}

function dataDirState({ path, fault }: DataDir): Component {
  return { name: "data_dir", ready: fault === undefined, reason: fault ?? path };
}

/** Limits that are kept by each process alone let pass more, and nothing is refused for it. */
function limitsState({ shared, reason }: SharingState): Component {
  return { name: "limits", ready: true, degraded: !shared, reason };
}

/** Since the machine started, so that time passes for the engine while the process is restarted. */
const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000_000n);

/** Lets the stream learn what a person made of an anomaly; that it is over then goes the way of all reports. */
function heed(
  engine: Engine,
  { tenant, id }: AnomalyDetail,
  { state }: AnomalyPatch,
  emit: AnomalySink,
  log: Logger,
): void {
  if (state !== "accepted" && state !== "false") return;
  const outcome = state === "accepted" ? engine.accept(tenant, id) : engine.reject(tenant, id);
  outcome.then(
    ({ found, ended }) => {
      if (!found)
        log.info(
          { tenant, anomaly: id, state },
          "no stream remembers the anomaly: its limits stay as they are",
        );
      if (ended) emit(ended);
    },
    (err) => log.error({ err, tenant, anomaly: id }, "the engine could not heed what was made of an anomaly"),
  );
}

/** Loads what streams had learned, and saves it from time to time and, by `close`, for the last time. */
async function startSnapshots(engine: Engine, config: Config, dataDir: DataDir, log: Logger) {
  const file = new SnapshotFile(config);
  const loaded = await file.load(engine);
  const { path } = file;
  if (loaded.kind === "restored") {
    const { streams } = engine.stats();
    log.info({ path, streams, saved_at: loaded.savedAt }, "streams go on from their snapshot");
  } else if (loaded.kind === "refused") {
    log.warn(
      { path, reason: loaded.reason },
      "streams learn anew: the snapshot is of no use, and will be replaced",
    );
  }
  const save = async () => {
    // In another's place it would overwrite what another process has learned.
    if (!(await dataDir.look()))
      return log.error({ path }, `what streams learned is not saved: ${dataDir.fault}`);
    return file
      .save(engine)
      .catch((err) => log.error({ err, path }, "what streams learned could not be saved"));
  };
  const every = config.detect.snapshot_interval;
  const timer = every > 0 ? setInterval(save, Math.min(every, maxTimerMs)).unref() : undefined;
  return {
    stop: () => clearInterval(timer),
    async close(maxMs: number) {
      clearInterval(timer);
      if (await endsWithin(maxMs, file.saved().then(save))) return;
      log.error(
        { path },
        "shutdown_timeout leaves too little time to save what streams have learned: their last snapshot stands",
      );
    },
  };
}

/**
 * Starts everything that `config` enables; ready for requests once it resolves.
 * @throws {Error} that names the key and the remedy; what had started is closed then.
 */
export async function startSidecar(
  config: Config,
  { log, onAnomaly = [], onJudgement }: SidecarOptions,
): Promise<Sidecar> {
  const { receive, detect, forward, telemetry, auth } = config;
  const versions = allVersions(native.versions);
  const metrics = createMetrics(versions);
  // What has to be undone when the start fails half-way, last first.
  const started: (() => Promise<unknown>)[] = [];
  let closing = false;

  try {
    // First, since it keeps other processes out of what the rest writes to.
    const dataDir = await DataDir.open(config.data_dir, log);
    started.push(async () => dataDir.close());
    const forwarder = await startForwarder(forward, forwardHooks(metrics, log), config.data_dir);
    started.push(() => forwarder.close(0));
    const store = await openStore(config, { log, versions });
    started.push(() => store.close());
    if (config.store.url === undefined) await dataDir.watch("driftlock.db");
    const access = new Access(auth, store.keys, log);
    const metering = new Metering(config.limits, store.usage, log);
    started.push(() => metering.close());
    const { limiter } = metering;
    const hub = new LiveHub({}, await store.anomalies.latestChange());
    started.push(async () => hub.close());
    const engine = detect.enabled
      ? new Engine(detect, {
          mode: forward.mode,
          streamsPerTenant: config.limits.streams,
          key: installationHashKey(config),
          clock: monotonicMs,
          // Receivers and the events API hand each body over and never touch it again.
          readInPlace: true,
        })
      : undefined;
    if (engine) started.push(() => engine.close());
    const snapshots = engine ? await startSnapshots(engine, config, dataDir, log) : undefined;
    if (snapshots) started.push(async () => snapshots.stop());
    const feed = engine ? new StreamFeed(engine, store.streams, log) : undefined;
    if (feed) started.push(async () => feed.stop());
    const tracing = await startTracing(telemetry, versions.version);
    if (tracing) started.push(() => endsWithin(spansMs, tracing.close()));
    const pipeline = new Pipeline({
      engine,
      forwarder,
      metrics,
      tracer: tracing?.tracer,
      sinks: [anomalySink(store), liveSink(hub), ...onAnomaly],
      meter: metering,
      onJudge: (tenant) => quiet?.heard(tenant),
    });
    const quiet = engine ? new SilenceClock(engine, pipeline.emit, log) : undefined;
    quiet?.start();
    if (quiet) started.push(async () => quiet.close());
    const hooks = receiveHooks(metrics, log);
    const receivers = await startReceivers(
      receive,
      pipeline.take,
      {
        ...hooks,
        onRequest(answered) {
          hooks.onRequest(answered);
          if (answered.code === Code.UNAVAILABLE || answered.code === Code.RESOURCE_EXHAUSTED)
            quiet?.refused();
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
      forwarder: () => forwarder.state(),
      writer: () => store.writer.state(),
      audit: () => store.auditHeads(),
      listeners: () => ({ now: hub.readers, ...hub.counts }),
      limits: () => metering.sharing(),
      dataDir: () => dataDir.fault === undefined,
    });

    const { grpc, http } = receivers.addresses;
    const readiness = (): Component[] => {
      const sharing = metering.sharing();
      return [
        receiversState(closing, [grpc, http]),
        engineState(engine, pipeline),
        downstreamState([forward.endpoint, ...forward.failover_endpoints].join(" or "), forwarder.state()),
        storeState(store),
        dataDirState(dataDir),
        ...(sharing ? [limitsState(sharing)] : []),
      ];
    };
    const { engine_stuck_after: stuckAfter } = config.health;
    const alive = () => stuckAfter === 0 || pipeline.stuckFor < stuckAfter;
    const tellHealth = () => receivers.setServing(readiness().every(({ ready }) => ready));
    const healthTimer = receive.grpc.health ? setInterval(tellHealth, healthMs).unref() : undefined;
    const api = config.api.enabled
      ? await startApi({
          config: config.api,
          open: !auth.enabled,
          access,
          limiter,
          store,
          hub,
          registry: metrics.registry,
          versions,
          readiness,
          alive,
          take: receivers.take,
          onJudgement(anomaly, patch) {
            publishJudgement(hub, anomaly);
            if (engine) heed(engine, anomaly, patch, pipeline.emit, log);
            onJudgement?.(anomaly, patch);
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
        : await startProbes(healthEndpoint, { readiness, alive, stuckAfter });
    if (!auth.enabled) {
      log.info("auth.enabled is false: whoever reaches this process may send, read and change");
    }

    const close = async (): Promise<Remainder> => {
      closing = true;
      clearInterval(healthTimer);
      quiet?.close();
      receivers.setServing(false);
      pipeline.drain();
      const start = performance.now();
      const total = Math.min(config.shutdown_timeout, maxTimerMs);
      const deliveryMs = total / 2;
      const end = start + Math.max(total, deliveryMs + minClosingMs);
      const left = () => Math.max(0, end - performance.now());
      const drained = receivers.close(deliveryMs + answerMs);
      await endsWithin(deliveryMs, drained);
      // If time is up, the senders of what is still held are told, and what comes out of the engine goes no further.
      // Otherwise all senders have been answered, and what is on its way from the disk may arrive.
      engine?.cancel();
      await endsWithin(left(), forwarder.close(Math.max(0, start + deliveryMs - performance.now())));
      await endsWithin(Math.min(answerMs, left()), drained);
      const undelivered = pipeline.undelivered();
      if (pipeline.judgingFor === 0) {
        await feed?.close(left() / 4);
        await snapshots?.close(left() * 0.75);
        if (engine) await endsWithin(left(), engine.close());
      } else {
        log.error(
          "the engine is stuck in a request: what streams have learned since the last snapshot is lost",
        );
        feed?.stop();
        snapshots?.stop();
        void engine?.close();
      }
      const listeners = Promise.all([api?.close(), probes?.close(), metering.close(), tracing?.close()]);
      await endsWithin(left() / 2, listeners);
      hub.close();
      await endsWithin(left(), store.close());
      const inPlace = await dataDir.look();
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
