import { fromBinary } from "@bufbuild/protobuf";
import { decodeReport, type Report } from "../anomaly/report.ts";
import type { Policy } from "../config/schema/policy.ts";
import type { DetectConfig } from "../config/schema.ts";
import type { Anomaly } from "../gen/driftlock/v1/anomaly_pb.js";
import { type EvidencePage, EvidencePageSchema } from "../gen/driftlock/v1/incidents_pb.js";
import {
  type EngineFindings,
  type EnginePolicy,
  type EngineStats,
  type EngineWindow,
  type NativeEngine,
  native,
} from "../native.ts";
import type { Signal } from "../otlp/protocol.ts";
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

/** How an engine is used, beside the settings in the configuration's section `detect`. */
export interface EngineSettings {
  /** `all` forwards whole requests; `flagged` forwards flagged records alone, with their resources and scopes. */
  mode: "all" | "flagged";
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
      streamsPerTenant = 0,
      exactBaseline = false,
      recordsPerSecond = 1,
      scores = false,
      key = configuredHashKey(config),
      clock,
      readInPlace = false,
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
      flaggedOnly: mode === "flagged",
      scores,
      readInPlace,
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
  async process(signal: Signal, tenant: string, body: Buffer): Promise<Judged> {
    const outcome = await this.#native.process(signal, tenant, body, this.#clock?.());
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
  async advance(ms: number, active: Iterable<string> = []): Promise<Findings> {
    const findings = await this.#native.advance(ms, [...active], this.#clock?.());
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
   * Returns all that the engine has learned, as it is after the requests before this call and before those after it.
   * @throws {Error} with the code ERR_DRIFTLOCK_ENGINE_CLOSED after `close`.
   */
  snapshot(): Promise<Buffer> {
    return this.#native.snapshot();
  }

  /**
   * Restores a snapshot of an engine with the same settings and key. Returns false, and changes nothing, if the bytes are not a
   * snapshot that this version can read.
   * @throws {Error} with the code ERR_DRIFTLOCK_ENGINE_STARTED after the first request, ERR_DRIFTLOCK_ENGINE_CLOSED after `close`.
   */
  restore(snapshot: Buffer): boolean {
    return this.#native.restore(snapshot);
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

function decodeFindings({ anomalies, notable = [], evidence }: EngineFindings) {
  const reports = anomalies.map(decodeReport);
  return {
    reports,
    anomalies: reports.map(({ message }) => message),
    notable: notable.map(decodeReport),
    evidence: evidence && fromBinary(EvidencePageSchema, evidence),
  };
}
