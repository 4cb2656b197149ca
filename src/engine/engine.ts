import { fromBinary } from "@bufbuild/protobuf";
import { decodeReport, type Report } from "../anomaly/report.ts";
import type { LlmConfig } from "../config/schema/llm.ts";
import type { Policy } from "../config/schema/policy.ts";
import type { DetectConfig } from "../config/schema.ts";
import type { Anomaly, Channel } from "../gen/driftlock/v1/anomaly_pb.js";
import { type EvidencePage, EvidencePageSchema } from "../gen/driftlock/v1/incidents_pb.js";
import { type LlmPage, LlmPageSchema } from "../gen/driftlock/v1/llm_pb.js";
import {
  type EngineFindings,
  type EnginePolicy,
  type EnginePrivacy,
  type EngineStats,
  type EngineWindow,
  type NativeEngine,
  type NativeEnginePool,
  native,
} from "../native.ts";
import type { Signal } from "../otlp/protocol.ts";
import {
  CheckpointPieces,
  piecesOf,
  type Restored,
  recordsOf,
  restore,
  type StateRecord,
  wholeRecords,
} from "./checkpoint.ts";
import { configuredHashKey, fingerprintOf } from "./hash-key.ts";
import { toEnginePolicy } from "./policy.ts";
import { decodeStatistics, type StatisticsPage } from "./statistics.ts";

/** What the engine found with a request, or with the passing of time. */
export interface Findings {
  /** Reports of anomalies, in wire order of the records that they are about. */
  reports: Report[];
  /** The messages of `reports`. */
  anomalies: Anomaly[];
  /** Number of reports that were left out because the request has too many. */
  unreported: number;
  /**
   * What was not flagged and is among the strangest of its tenant's hour so far, with the limit that it did not reach. It has no
   * `id`. A stream may show something stranger later in the hour.
   */
  notable: Report[];
  /** What incidents are formed from; undefined if there is nothing to tell. */
  evidence: EvidencePage | undefined;
  /** Number of verdicts that `evidence` leaves out because they concern too many streams, resources and ticks. */
  evidenceLeftOut: number;
  /** The calls of language models that the request completed; undefined if there are none. */
  calls: LlmPage | undefined;
}

/** What became of one request. */
export interface Judged extends Findings {
  /** The request to send on: the same Buffer if nothing was flagged, else one with annotated records; null for nothing. */
  forward: Buffer | null;
  /** Number of log records, spans or metric points in the request. */
  records: number;
  /** Number of flagged records. */
  flagged: number;
  /** Number of records that passed unjudged because their streams are beyond the tenant's quota. */
  limited: number;
  /** Number of reports of anomalies that came back as log records; they pass unjudged. */
  returned: number;
  /** Number of records that passed unjudged because the request had used up the work that one request may cause. */
  unjudged: number;
  /** Number of records whose time was missing, not of this century or not in nanoseconds, so that it was read otherwise. */
  redated: number;
  /** Number of records that passed unjudged because the policies of their streams say so. */
  excluded: number;
  /** Number of flagged records that carry the anomaly's id at most, because the request has too many to annotate in full. */
  abridged: number;
  /**
   * Set if the engine was created with `scores`: four numbers per record in wire order, which are its score, its p-value, 1 if it was
   * flagged or else 0, and the number of the channel (`Channel`).
   */
  scores?: Float64Array;
  /** Set if the engine was created with `scores`: the windows that the request completed, in order of their last records. */
  windows?: EngineWindow[];
}

/**
 * Threads that several engines share: each engine that has something to do has its turn. They end when nobody holds this and no
 * engine uses them any more.
 */
export class EnginePool {
  /** What the addon knows it by. */
  readonly native: NativeEnginePool;

  /**
   * @param threads from 1 to 64.
   * @throws {RangeError} with the code ERR_DRIFTLOCK_OUT_OF_RANGE for another number.
   * @throws {Error} if the system refuses the threads.
   */
  constructor(threads: number) {
    this.native = native.enginePool(threads);
  }
}

/** How an engine is used, beside the settings in the configuration's section `detect`. */
export interface EngineSettings {
  /** `all` forwards whole requests; `flagged` forwards flagged records alone, with their resources and scopes. */
  mode: "all" | "flagged";
  /**
   * What happens to personal and secret values. By default, what is judged and forwarded stays as it is, and everything else is
   * masked.
   */
  privacy?: EnginePrivacy;
  /** What becomes of calls of language models. By default, their records are like others. */
  llm?: LlmConfig | undefined;
  /** Number of streams of one tenant that are judged at once; records of further streams pass unjudged. Unlimited by default. */
  streamsPerTenant?: number | undefined;
  /**
   * Whether a stream learns from exactly `detect.baseline.records` records, as a replay with --train does. By default it
   * learns from fewer if it has few. Defaults to false.
   */
  exactBaseline?: boolean;
  /**
   * How many records per second a stream is taken to have if they carry no times and there is no `clock`, which tells when they
   * arrive. Budgets are per day, so it decides how soon there may be further alarms. Defaults to 1.
   */
  recordsPerSecond?: number;
  /** Whether `process` returns the scores of all records and windows. Defaults to false. */
  scores?: boolean;
  /**
   * Whether the first report of each anomaly, and each with news, has a `recording`, from which `recompute` computes it again. Defaults to false.
   */
  recordings?: boolean;
  /**
   * Whether `evidence` says which services call which, and what changed about them. Verdicts do not depend on it. Defaults to true.
   */
  serviceGraphs?: boolean;
  /**
   * The secret of 32 bytes that all hashes derive from. By default it is read from `detect.key_file`; if that is not set
   * either, it is 32 zeros, with which anyone can look for inputs that collide.
   */
  key?: Uint8Array;
  /**
   * Returns milliseconds since 1970 by a clock that never runs backwards. The alarm budget of the process (`per_process_per_day`)
   * runs on it, and records without a time are judged as of it. Without it, event time serves for both, so that a replay finds
   * the same anomalies again.
   */
  clock?: () => number;
  /**
   * Read each request in place instead of copying it first. Only for a caller that neither changes nor detaches a request's
   * bytes until `process` resolves, which would crash the process.
   */
  readInPlace?: boolean;
  /**
   * Threads that it shares with other engines, instead of threads of its own; `detect.threads` of them at most work for it at once.
   * Verdicts do not depend on it.
   */
  pool?: EnginePool;
}

/** How one call differs from others. */
export interface CallOptions {
  /** When the request was received, in milliseconds since 1970; by default `EngineSettings.clock` says it. */
  readonly receivedMs?: number;
  /**
   * Judge and learn, but report nothing: for requests that were reported before. There are no anomalies, no evidence and no calls of
   * models in the outcome, and nothing to forward.
   */
  readonly silent?: boolean;
}

/** What feedback on an anomaly changed. */
export interface FeedbackOutcome {
  /** False if no stream remembers the anomaly. Each stream remembers its latest four. */
  found: boolean;
  /** The report that the anomaly has ended; undefined if it had ended before. */
  ended: Report | undefined;
}

/**
 * Judges OTLP requests. It learns what is normal for each stream, flags what is strange, and reports anomalies. Verdicts depend on
 * the requests of a stream, their order, the settings and the key alone, not on the number of threads.
 */
export class Engine {
  readonly #native: NativeEngine;
  readonly #clock: (() => number) | undefined;
  /** The policies of the configuration. */
  readonly #policies: EnginePolicy[];
  /** The latest checkpoint that has not ended. */
  #reading: CheckpointPieces | undefined;
  /** Whether the last checkpoint was not read to its end. */
  #incomplete = false;
  /** Identifies the key without revealing it. Snapshots of an engine with another key cannot be restored. */
  readonly keyFingerprint: string;

  /**
   * Creates an engine and starts its threads.
   * @param config the section `detect` of a configuration, such as `parseConfig({}).detect`.
   * @throws {ConfigError} with the code ERR_DRIFTLOCK_CONFIG if `detect.key_file` cannot be used.
   * @throws {TypeError} with the code ERR_DRIFTLOCK_INVALID_ARGUMENT if a setting has the wrong type.
   * @throws {RangeError} with the code ERR_DRIFTLOCK_OUT_OF_RANGE if a setting is out of its range.
   */
  constructor(
    config: DetectConfig,
    {
      mode,
      privacy = {},
      llm,
      streamsPerTenant = 0,
      exactBaseline = false,
      recordsPerSecond = 1,
      scores = false,
      recordings = false,
      serviceGraphs = true,
      key = configuredHashKey(config),
      clock,
      readInPlace = false,
      pool,
    }: EngineSettings,
  ) {
    this.keyFingerprint = fingerprintOf(key);
    this.#clock = clock;
    this.#policies = config.policies.map((policy) => toEnginePolicy(policy));
    this.#native = new native.Engine({
      streamBy: config.stream_by,
      groupBy: config.group_by,
      instanceBy: config.instance_by,
      changeAttributes: config.change_attributes,
      baselineRecords: config.baseline.records,
      exactBaseline,
      recordsPerSecond,
      dictionarySize: config.baseline.dictionary_size,
      acceptAfterMs: config.baseline.accept_after,
      windowRecords: config.window.records,
      windowHop: config.window.hop,
      alarmsPerStreamPerDay: config.budget.per_stream_per_day,
      alarmsPerGroupPerDay:
        config.budget.per_group_per_day ?? Math.max(1.75, config.budget.per_stream_per_day),
      alarmsPerTenantPerDay: config.budget.per_tenant_per_day,
      alarmsPerProcessPerDay: config.budget.per_process_per_day,
      codec: config.codec,
      permutations: config.permutations,
      seed: BigInt(config.seed),
      hashKey: key,
      threads: config.threads,
      maxStreams: config.max_streams,
      streamsPerTenant,
      policies: this.#policies,
      privacy,
      ...(llm?.enabled === true && { llm: { capture: llm.capture, prices: llm.prices.map(toEnginePrice) } }),
      flaggedOnly: mode === "flagged",
      scores,
      recordings,
      serviceGraphs,
      readInPlace,
      ...(pool && { pool: pool.native }),
    });
  }

  /**
   * Judges one request. Requests are judged in the order of calls; `body` must not change before the promise settles.
   * @param signal what the request carries.
   * @param tenant the tenant whose streams its records belong to: streams of different tenants share nothing.
   * @param body an ExportLogsServiceRequest, ExportTraceServiceRequest or ExportMetricsServiceRequest as uncompressed protobuf.
   * @throws {Error} with the code ERR_DRIFTLOCK_OTLP_MALFORMED if the request is not the message that its signal requires,
   * ERR_DRIFTLOCK_ENGINE_CANCELLED if it was cancelled, and ERR_DRIFTLOCK_ENGINE_CLOSED after `close`.
   */
  async process(signal: Signal, tenant: string, body: Buffer, options?: CallOptions): Promise<Judged> {
    const received = options?.receivedMs ?? this.#clock?.();
    const outcome = await this.#native.process(signal, tenant, body, received, options?.silent);
    // Copying an object of this many properties would cost a microsecond per request.
    return Object.assign(outcome, decodeFindings(outcome));
  }

  /**
   * Lets time pass without requests, so that streams that have fallen silent are noticed. Otherwise only requests move the clock.
   * @param ms how much time has passed, from 1 to 60,000 milliseconds.
   * @param active tenants that sent requests meanwhile; no time passes for them.
   * @returns what it showed: anomalies that began or ended by it, and the evidence.
   * @throws {Error} with the code ERR_DRIFTLOCK_ENGINE_CLOSED after `close`.
   */
  async advance(ms: number, active: Iterable<string> = [], options?: CallOptions): Promise<Findings> {
    const received = options?.receivedMs ?? this.#clock?.();
    const findings = await this.#native.advance(ms, [...active], received, options?.silent);
    return Object.assign(findings, decodeFindings(findings));
  }

  /**
   * Moves the clock of a tenant, at its place in the order of calls, like a request whose last record has this event time: for
   * records that another engine judges. Streams that are silent by then are noticed.
   * @returns what it showed: anomalies that began or ended by it, and the evidence.
   * @throws {Error} with the code ERR_DRIFTLOCK_ENGINE_CLOSED after `close`.
   */
  async observeTime(tenant: string, unixNanos: bigint, options?: CallOptions): Promise<Findings> {
    const received = options?.receivedMs ?? this.#clock?.();
    const findings = await this.#native.observeTime(tenant, unixNanos, received, options?.silent);
    return Object.assign(findings, decodeFindings(findings));
  }

  /**
   * Replaces the policies that tenants have beside those of the configuration, which come after them. What streams have learned
   * stays.
   * @throws {Error} with the code ERR_DRIFTLOCK_ENGINE_CLOSED after `close`.
   */
  setPolicies(ofTenants: ReadonlyMap<string, readonly Policy[]>): Promise<void> {
    const own = [...ofTenants].flatMap(([tenant, policies]) =>
      policies.map((policy) => toEnginePolicy(policy, tenant)),
    );
    return this.#native.setPolicies([...own, ...this.#policies]);
  }

  /**
   * Notes that records were missed, because the process did not run or because other data follows. Ticks and sessions that are
   * over by the next records are dropped unjudged, so that the gap counts neither as a silence nor as broken sessions.
   * @param resumes whether streams are expected to go on, so that one that does not is silent. Otherwise a stream is not
   * silent until it has records again.
   * @throws {Error} with the code ERR_DRIFTLOCK_ENGINE_CLOSED after `close`.
   */
  interrupt({ resumes }: { resumes: boolean }): Promise<void> {
    return this.#native.interrupt(resumes);
  }

  /** Returns the numbers of streams and what they hold, as of now. */
  stats(): EngineStats {
    return this.#native.stats();
  }

  /**
   * Accepts an anomaly as normal. Its novelty is learned; channels without novelty let a few similar units pass and learn them. An
   * open anomaly ends.
   * @param anomalyId the `id` of its reports.
   * @throws {Error} with the code ERR_DRIFTLOCK_ENGINE_CLOSED after `close`.
   */
  accept(tenant: string, anomalyId: string): Promise<FeedbackOutcome> {
    return this.#feedback(tenant, anomalyId, "accept");
  }

  /**
   * Rejects an anomaly as a false alarm. The stream's alarm limit rises above similar scores. An open anomaly ends.
   * @param anomalyId the `id` of its reports.
   * @throws {Error} with the code ERR_DRIFTLOCK_ENGINE_CLOSED after `close`.
   */
  reject(tenant: string, anomalyId: string): Promise<FeedbackOutcome> {
    return this.#feedback(tenant, anomalyId, "false");
  }

  /**
   * Raises the limit of all streams of a name, or of the group of that name, above such scores of a channel: for what a budget withheld,
   * which belongs to no anomaly.
   * @returns whether there is such a stream.
   * @throws {Error} with the code ERR_DRIFTLOCK_ENGINE_CLOSED after `close`.
   */
  tolerate(tenant: string, stream: string, channel: Channel, score: number): Promise<boolean> {
    return this.#native.tolerate(tenant, stream, channel, score);
  }

  async #feedback(tenant: string, anomalyId: string, kind: "accept" | "false"): Promise<FeedbackOutcome> {
    const { found, ended } = await this.#native.feedback(tenant, anomalyId, kind);
    return { found, ended: ended ? decodeReport(ended) : undefined };
  }

  /**
   * Reads the statistics of streams that have changed since their statistics were last read.
   * @param most about how many streams to return; call again while `left` is not 0.
   * @throws {Error} with the code ERR_DRIFTLOCK_ENGINE_CLOSED after `close`.
   */
  async statistics(most: number): Promise<StatisticsPage> {
    return decodeStatistics(await this.#native.statistics(most));
  }

  /**
   * Begins a checkpoint, at its place in the order of calls: what the engine has learned since the last one, or everything if there
   * is none. Requests are judged as usual while it is read, and change nothing of it.
   *
   * All of its records must be kept together, because the last ones hold a digest of all. The engine takes one that was read to its
   * end as kept; after one that was not read to its end, the next is of everything.
   * @param options.full of everything, for example because the last one could not be kept.
   * @returns the records in pieces of about 1 MiB, in the order in which they are to be applied.
   * @throws {Error} while another one is being read. Reading throws with the code ERR_DRIFTLOCK_ENGINE_CLOSED after `close`.
   */
  checkpoint({ full = false }: { full?: boolean } = {}): AsyncIterable<StateRecord[]> {
    if (this.#reading) throw new Error("a checkpoint is being read already: read it to its end first");
    const pieces = this.#read(full || this.#incomplete ? "all" : "changes");
    this.#incomplete = true;
    return {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          const { done, value } = await pieces.next();
          if (done !== true) return { done: false, value: recordsOf(value) };
          if (pieces.complete) this.#incomplete = false;
          return { done, value };
        },
        return: async () => {
          await pieces.return();
          return { done: true, value: undefined };
        },
      }),
    };
  }

  /**
   * Restores an engine that has judged nothing yet from the latest record of each key, in any order, in pieces of any size, which
   * checkpoints of an engine with the same settings and key gave. The next checkpoint is of what changes from now on.
   * @throws {Error} with the code ERR_DRIFTLOCK_ENGINE_STARTED after the first request, ERR_DRIFTLOCK_ENGINE_CLOSED after `close`.
   */
  async restoreFrom(
    records: AsyncIterable<Iterable<StateRecord>> | Iterable<Iterable<StateRecord>>,
  ): Promise<Restored> {
    const restored = await restore(this.#native, piecesOf(records), true);
    if (restored.kind === "restored") this.#incomplete = false;
    return restored;
  }

  /**
   * Returns all that the engine has learned, as it is after the requests before this call and before those after it. If another
   * snapshot or checkpoint is being read, it is as of the end of that.
   * @throws {Error} with the code ERR_DRIFTLOCK_ENGINE_CLOSED after `close`.
   */
  async snapshot(): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of this.snapshotPieces()) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  /** The same in pieces of about 1 MiB, so that all of it is never in memory. Read it to its end, or return from it. */
  snapshotPieces(): AsyncIterable<Buffer> {
    return this.#read("copy");
  }

  #read(of: "changes" | "all" | "copy"): CheckpointPieces {
    const pieces = new CheckpointPieces(this.#native, of, this.#reading);
    this.#reading = pieces;
    void pieces.ended.then(() => {
      if (this.#reading === pieces) this.#reading = undefined;
    });
    return pieces;
  }

  /**
   * Restores a snapshot of an engine with the same settings and key. Resolves to false, and changes nothing, if the bytes are not a
   * snapshot that this version can read.
   * @throws {Error} with the code ERR_DRIFTLOCK_ENGINE_STARTED after the first request, ERR_DRIFTLOCK_ENGINE_CLOSED after `close`.
   */
  async restore(snapshot: Buffer): Promise<boolean> {
    return (await this.restorePieces([snapshot])).kind === "restored";
  }

  /** The same for a snapshot in pieces of any size; says why it is refused. */
  restorePieces(pieces: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<Restored> {
    return restore(this.#native, wholeRecords(pieces), false);
  }

  /**
   * Gives up all pending requests: their promises reject with the code ERR_DRIFTLOCK_ENGINE_CANCELLED. Other pending calls and later
   * requests are served as usual.
   */
  cancel(): void {
    this.#native.cancel();
  }

  /** Completes what is pending, then ends the engine's threads. It may be called again; other calls fail afterwards. */
  close(): Promise<void> {
    return this.#native.close();
  }
}

function decodeFindings({ anomalies, notable = [], evidence, calls }: EngineFindings) {
  const reports = anomalies.map(decodeReport);
  return {
    reports,
    anomalies: reports.map(({ message }) => message),
    notable: notable.map(decodeReport),
    evidence: evidence && fromBinary(EvidencePageSchema, evidence),
    calls: calls && fromBinary(LlmPageSchema, calls),
  };
}

function toEnginePrice({ model, input, output, cached }: LlmConfig["prices"][number]) {
  return { model, input, output, ...(cached !== undefined && { cached }) };
}
