/** Loads the addon; no other file does. Its types are the whole native surface, which consists of few and coarse calls. */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { Signal } from "./otlp/protocol.ts";

/** A codec that compresses and decompresses. */
export type CodecName = "openzl" | "zstd" | "lz4" | "gzip";

/** How OpenZL reads the bytes: the type of the column selects its graph. Other codecs ignore it. */
export type ColumnType =
  /** Bytes without a structure. */
  | { kind: "bytes" }
  /** Little-endian integers of `width` bytes; `sorted` for timestamps and counters, which are delta-encoded first. */
  | { kind: "numeric"; width: 1 | 2 | 4 | 8; sorted?: boolean }
  /** Records of `width` bytes each. */
  | { kind: "struct"; width: number }
  /** Strings end to end, tokenised because strings repeat; their `lengths` in bytes sum to the length of the input. */
  | { kind: "string"; lengths: Uint32Array };

/** Options of `permutationTest`. */
export interface PermutationOptions {
  /** Largest number of permutations to draw, N of the p-value, from 1. */
  permutations: number;
  /** Number of records that are moved together, from 1. Larger blocks keep what neighbouring records share. */
  block: number;
  /** Stops after so many permutations at least as extreme as the observed statistic (Besag and Clifford); 0 draws all. */
  stopAfter: number;
  /** Seed of ChaCha20, from 0 to 2^64 - 1. The same seed gives the same p-value. */
  seed: bigint;
  /** The codec that measures. */
  codec: CodecName;
  /** Level of the codec; its usual level by default. */
  level?: number;
}

/** Result of `permutationTest`. */
export interface PermutationResult {
  /** The p-value, in (0, 1]. */
  pValue: number;
  /** Number of permutations that were drawn. */
  permutations: number;
  /** Number of drawn permutations whose statistic is at least the observed one. */
  exceeding: number;
  /** The statistic of the records as they are: ((C_BW - C_B) x 8) / |W|, in bits per byte of the window. */
  observed: number;
}

/** Measures of a window W beside its baseline B; C is a compressed size in bytes. */
export interface WindowMetrics {
  /** C_W / |W|. */
  compressionRatio: number;
  /** C_B / |B|. */
  baselineRatio: number;
  /** ((C_B - C_W) x 8) / |W|, in bits per byte of the window. */
  deltaBits: number;
  /** Shannon entropy of the window's bytes, in bits per byte. */
  entropy: number;
  /** Normalized compression distance of baseline and window. */
  ncd: number;
  /** Normalized compression distance of the window and the last |W| bytes of the baseline. */
  ncdSizeMatched: number;
}

/** Versions of the libraries in the addon. `openzlFormat` is the newest format of OpenZL's frames that it writes. */
export type CodecVersions = Readonly<Record<"openzl" | "openzlFormat" | "zstd" | "lz4" | "zlib", string>>;

/** An anomaly that begins. */
export interface Alarm {
  tenant: string;
  id: string;
  /** How many times rarer it is than it must be to be flagged. */
  margin: number;
}

/** A policy, and the streams that it is for. A pattern that is not set matches everything. */
export interface EnginePolicy {
  signal?: Signal;
  /** Patterns, in which `*` stands for any text and `?` for any byte. */
  tenant?: string;
  service?: string;
  /** Of the stream's whole name, such as `logs service.name=checkout`. */
  stream?: string;
  metric?: string;
  judge?: boolean;
  /** Alarms per day of each of the streams alone; 0 or undefined for those of the settings. */
  alarmsPerDay?: number;
  /** Names of the channels that may flag something. */
  channels?: string[];
  ignoreFields?: string[];
  direction?: "up" | "down" | "both";
  minDeviation?: number;
  minDeviationShare?: number;
  minCount?: number;
}

/** What happens to personal and secret values at each place; the configuration's section `privacy` documents it. */
export interface PrivacyActions {
  scoring?: PrivacyAction;
  forwarded?: PrivacyAction;
  stored?: PrivacyAction;
  logs?: PrivacyAction;
  evidence?: PrivacyAction;
}

export type PrivacyAction = "flag" | "mask" | "hash" | "drop";

/** A rule of a privacy policy. A pattern that is not set matches everything. */
export interface EnginePrivacyRule extends PrivacyActions {
  signal?: Signal;
  tenant?: string;
  service?: string;
  stream?: string;
  attribute?: string;
  /** Names of detectors; all by default. */
  detectors?: string[];
}

/** Values that are not personal, whatever detectors say: whole values, or a pattern that whole values match. */
export interface EnginePrivacyAllowance {
  detectors?: string[];
  attribute?: string;
  values?: string[];
  pattern?: string;
}

/** A privacy policy: the actions, and rules of which the first that matches a value and names the place decides. */
export interface EnginePrivacy extends PrivacyActions {
  rules?: EnginePrivacyRule[];
  /** Detectors besides the built-in ones, each with a pattern for RE2. */
  detectors?: { name: string; pattern: string }[];
  allow?: EnginePrivacyAllowance[];
  /** The secret that the keys of pseudonyms derive from. */
  key?: Uint8Array;
}

/** How many values were found, by place and detector; what was not found is left out. */
export type NativePrivacyCounts = { [place: string]: { [detector: string]: number } };

/** What `redact` made of a request. */
export interface Redacted {
  records: number;
  /** The request with its values replaced; null if there is nothing to replace. */
  request: Buffer | null;
  counts: NativePrivacyCounts;
  /** Texts in which something was found, masked and shortened: one for each detector and attribute, at most 64. */
  examples: { detector: string; attribute: string; text: string }[];
}

/** What becomes of calls of language models; the configuration's section `llm` documents it. */
export interface EngineLlm {
  capture: "none" | "masked" | "full";
  /** Prices per million tokens: the first whose pattern matches the model counts. */
  prices?: { model: string; input: number; output: number; cached?: number }[];
}

/** Options of a native engine. The configuration's section `detect` documents those that have a key there. */
export interface EngineOptions {
  streamBy: string[];
  baselineRecords: number;
  exactBaseline?: boolean;
  /** How many records per second a stream has whose records carry no time and of whose arrival nothing is known. */
  recordsPerSecond?: number;
  dictionarySize: number;
  /** How long novelty must keep coming, in event time, before it becomes normal. */
  acceptAfterMs: number;
  windowRecords: number;
  windowHop: number;
  /** Resource attributes that may name the resource group of a stream: the first that a resource has does. */
  groupBy: string[];
  instanceBy: string[];
  /** Resource attributes of which a new value is a change of the service; none by default. */
  changeAttributes?: string[];
  alarmsPerStreamPerDay: number;
  /** The alarm budget of a resource group; 0 for that of one stream. */
  alarmsPerGroupPerDay: number;
  /** The alarm budget of each tenant; 0 for no limit. */
  alarmsPerTenantPerDay: number;
  /** The alarm budget of all streams together; 0 for no limit. */
  alarmsPerProcessPerDay: number;
  codec: CodecName;
  permutations: number;
  seed: bigint;
  /** The secret of 32 bytes that all hashes of records derive from; the public key by default. */
  hashKey?: Uint8Array;
  threads: number;
  maxStreams: number;
  /** Number of streams of one tenant that are judged at once; records of further streams pass unjudged. 0 for no limit. */
  streamsPerTenant: number;
  /** By default, what is judged and forwarded stays as it is, and everything else is masked. */
  privacy?: EnginePrivacy;
  /** Reads and judges calls of language models; by default, they are records like others. */
  llm?: EngineLlm;
  /** Policies in their order: the first that matches a stream decides. None by default. */
  policies?: EnginePolicy[];
  /** Forwards flagged records alone, with their resources and scopes. */
  flaggedOnly: boolean;
  /** Returns the scores of all records and windows as well, for replay. */
  scores: boolean;
  /** Adds to the first report of each anomaly what its verdict can be computed from again (driftlock.v1.Recording). */
  recordings?: boolean;
  /** Learns which services call which, and what changes about them, for `evidence`; true by default. */
  serviceGraphs?: boolean;
  /**
   * Lets the engine's threads read each request in place instead of copying it. The caller of `process` must then neither
   * change nor detach the bytes until its promise settles: a change while they are read may crash the process.
   */
  readInPlace?: boolean;
  /** Threads that it shares with other engines; `threads` of them at most work for it at once. By default it has its own. */
  pool?: NativeEnginePool;
}

/** What the engine found with a request, or with the passing of time. */
export interface EngineFindings {
  /** driftlock.v1.Anomaly messages, in wire order of their records. */
  anomalies: Uint8Array[];
  /** Number of reports that were left out because the request has too many. */
  unreported: number;
  /** As `anomalies`, the strangest of each tenant and hour that was not flagged; not set if there is nothing of the kind. */
  notable?: Uint8Array[];
  /** A driftlock.v1.EvidencePage, from which incidents are formed; not set if there is nothing to tell. */
  evidence?: Uint8Array;
  /** Number of verdicts that `evidence` leaves out because they concern too many streams, resources and ticks. */
  evidenceLeftOut: number;
  /** A driftlock.v1.LlmPage, the calls of language models that the request completed; not set if there are none. */
  calls?: Uint8Array;
}

/** What became of one request. */
export interface EngineOutcome extends EngineFindings {
  /** The request to send on: the same Buffer if nothing was flagged, else a new one; null for nothing at all. */
  forward: Buffer | null;
  /** Number of log records, spans or metric points in the request. */
  records: number;
  /** Number of flagged records. The first of them carry all CBAD attributes; see `abridged` for the others. */
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
  /** Set with `scores`: four numbers per record, its score, its p-value, 1 if it was flagged or else 0, and its channel. */
  scores?: Float64Array;
  /** Set with `scores`: the windows that the request completed, in order of their last records. */
  windows?: EngineWindow[];
}

/** A window of a stream, and its measures against the baseline. */
export interface EngineWindow {
  /** Index in the request of the record that completed the window. */
  record: number;
  /** Key of the stream, such as `logs service.name=checkout`. */
  stream: string;
  /** Score of the strangest verdict within the window. */
  score: number;
  /** p-value of that verdict. */
  pValue: number;
  /** Whether that verdict was flagged. */
  flagged: boolean;
  /** Number of the channel of that verdict, as in `Channel`. */
  channel: number;
  /** C_W / |W|. */
  compressionRatio: number;
  /** ((C_B - C_W) x 8) / |W|, in bits per byte of the window. */
  deltaBits: number;
  /** Shannon entropy of the window's bytes, in bits per byte. */
  entropy: number;
  /** Normalized compression distance of baseline and window. */
  ncd: number;
}

/** What an engine holds, and what it has counted since it was created. */
export interface EngineStats {
  /** Number of streams that the engine holds. */
  streams: number;
  /** Number of streams that still learn and therefore have no alarm limits. */
  learning: number;
  /** Number of streams that gave way to newer ones. */
  evicted: number;
  /** Memory that streams and service graphs take, in bytes. */
  bytes: number;
  /** Number of streams whose statistics were lost before they were read. */
  untold: number;
  /** Number of alarms that the budgets of streams withheld. */
  withheldByStreams: number;
  /** Number of alarms that the budgets of resource groups withheld. */
  withheldByGroups: number;
  /** Number of alarms that the budgets of tenants withheld. */
  withheldByTenants: number;
  /** Number of alarms that the budget of the process withheld. */
  withheldByProcess: number;
  /** Number of operations per host that the service graphs hold. */
  graphPlaces: number;
  /** Number of pairs of operations, of which one calls the other, that the service graphs hold. */
  graphCalls: number;
  /** Number of spans that the service graphs hold because more of their traces may come. */
  graphSpans: number;
  /** Number of operations, calls and spans of service graphs that gave way to newer ones. */
  graphGaveWay: number;
  /** Personal and secret values that were found, since the engine was created. */
  privacy: NativePrivacyCounts;
  /** Number of requests that are not judged yet. */
  pending: number;
}

declare const pool: unique symbol;

/** Threads that engines share. They end when nobody holds this and no engine uses them. */
export interface NativeEnginePool {
  readonly [pool]: true;
}

/** An engine. After `close`, its methods fail with the code ERR_DRIFTLOCK_ENGINE_CLOSED. */
export interface NativeEngine {
  /**
   * Judges one Export*ServiceRequest on the engine's threads, in the order of calls for each stream.
   * Unless it is read in place, `request` is copied, but not before the engine is about to take it: a change until the promise
   * settles may be seen or not, and a request that was detached or resized meanwhile rejects. A SharedArrayBuffer is refused, here and everywhere else.
   * `receivedMs`: milliseconds since 1970 by a clock of the receiver's that only runs forwards. The budget of the process runs on
   * it, and records without a time are judged as of it; without it, event time serves for both.
   * `silent`: judge and learn, but report nothing, and return nothing to send on.
   * Rejects with the code ERR_DRIFTLOCK_OTLP_MALFORMED if the request is not what its signal requires; the message names
   * the field and the offset.
   */
  process(
    signal: Signal,
    tenant: string,
    request: Uint8Array,
    receivedMs?: number,
    silent?: boolean,
  ): Promise<EngineOutcome>;
  /**
   * Lets time pass (1 to 60,000 ms), at its place in the order of calls, for all tenants but the `active` ones. Resolves to what
   * that shows, such as streams that have been silent for too long.
   */
  advance(ms: number, active: string[], receivedMs?: number, silent?: boolean): Promise<EngineFindings>;
  /**
   * Moves the clock of a tenant, at its place in the order of calls, like a request whose last record has this event time. Resolves
   * to what that shows.
   */
  observeTime(
    tenant: string,
    unixNanos: bigint,
    receivedMs?: number,
    silent?: boolean,
  ): Promise<EngineFindings>;
  /** Replaces all policies, at its place in the order of calls. What streams have learned stays. */
  setPolicies(policies: EnginePolicy[]): Promise<void>;
  /**
   * Notes, at its place in the order of calls, that records were missed: ticks and sessions that are over by the next records
   * are dropped unjudged. `resumes`: streams are expected to go on, so that their silence is judged; otherwise a stream is
   * not silent until it has records again.
   */
  interrupt(resumes: boolean): Promise<void>;
  /** Returns the engine's counts as of now. */
  stats(): EngineStats;
  /**
   * Begins a checkpoint, at its place in the order of calls: of what has changed since the last one, of everything, or a copy of
   * everything, which the next checkpoint does not know about. There is one at a time.
   */
  checkpoint(of: "changes" | "all" | "copy"): Promise<void>;
  /**
   * Returns the next records of the checkpoint, about 1 MiB, without waiting for the calls before; empty after the last. Each is
   * the lengths of its key and value as 32 bits, then both; a removed key has the length 0xffffffff.
   */
  checkpointPiece(): Promise<Buffer>;
  /** Ends the checkpoint, after its last record or before. The next one is of everything if it was before. */
  endCheckpoint(): Promise<void>;
  /**
   * Restores records, before the first other call: the latest of each key, in any order, as many whole ones as there are in
   * `piece`. What is wrong with them is said by `completeRestore`.
   */
  restore(piece: Uint8Array): Promise<void>;
  /**
   * Ends a restoration. Resolves to why the records are refused, and the engine is then as new, or to "" if it is restored.
   * Records of an engine with other baselines, windows, dictionary sizes, seed, hash key or streams cannot be used.
   * @param tracks whether the next checkpoint of changes is of what changes from now on.
   */
  completeRestore(tracks: boolean): Promise<string>;
  /**
   * Applies a person's decision about an anomaly at its place in the order of calls. After `accept`, what it showed is normal;
   * after `false`, scores like its own are usual. An open anomaly ends, and `ended` is its last report. `found` is false if no
   * stream remembers it: each remembers its latest four, and a stream that gave way to newer ones remembers none.
   */
  feedback(
    tenant: string,
    anomalyId: string,
    kind: "accept" | "false",
  ): Promise<{ found: boolean; ended: Buffer | null }>;
  /**
   * Lets all streams of a name, or the group of that name, learn that such scores of a channel are usual, at its place in the order of
   * calls: for what a budget withheld, which belongs to no anomaly. Resolves to false if there are none.
   * @param channel the number of the channel in driftlock.v1.Channel
   */
  tolerate(tenant: string, stream: string, channel: number, score: number): Promise<boolean>;
  /**
   * Returns the statistics of about `most` streams that have changed since they were last read, as a
   * driftlock.v1.StreamStatisticsPage.
   */
  statistics(most: number): Promise<Buffer>;
  /**
   * Gives up all pending requests after the record that each thread is working on. Their promises reject with the code
   * ERR_DRIFTLOCK_ENGINE_CANCELLED. Other calls, and later requests, are served as usual.
   */
  cancel(): void;
  /** Completes what is pending, then ends the threads. It may be called again. */
  close(): Promise<void>;
}

/** The addon's functions. Those that the package exports are documented in src/math.ts. */
export interface Native {
  readonly versions: CodecVersions;
  compress(codec: CodecName, bytes: Uint8Array, level?: number, column?: ColumnType): Buffer;
  decompress(codec: CodecName, bytes: Uint8Array, maxSize: number): Buffer;
  compressedSize(codec: CodecName, bytes: Uint8Array, level?: number, column?: ColumnType): number;
  entropy(bytes: Uint8Array): number;
  compressionRatio(bytes: Uint8Array, codec: CodecName, level?: number): number;
  deltaBits(baseline: Uint8Array, window: Uint8Array, codec: CodecName, level?: number): number;
  ncd(a: Uint8Array, b: Uint8Array, codec: CodecName, level?: number): number;
  ncdSizeMatched(baseline: Uint8Array, window: Uint8Array, codec: CodecName, level?: number): number;
  windowMetrics(baseline: Uint8Array, window: Uint8Array, codec: CodecName, level?: number): WindowMetrics;
  permutationTest(
    baseline: Uint8Array[],
    window: Uint8Array[],
    options: PermutationOptions,
  ): Promise<PermutationResult>;
  chacha20(key: Uint8Array, counter: number, nonce: Uint8Array, length: number): Buffer;

  /** As `decompress`, on a thread of libuv's pool; `bytes` are copied. Invalid arguments reject the promise. */
  decompressAsync(
    codec: CodecName | "lz4-frames" | "snappy",
    bytes: Uint8Array,
    maxSize: number,
  ): Promise<Buffer>;

  /**
   * Returns the SeverityNumber of a level's name in upper or lower case, by appendix B of the log data model; 0, which is
   * unspecified, for an unknown name.
   */
  severityNumber(name: string): number;
  /**
   * Returns a function that replaces the personal and secret values in a text as the policy says at this place. Throws if the policy
   * cannot be used, such as for a pattern that RE2 refuses; the message begins with the name of the value, as in
   * `policy.detectors[0].pattern`.
   */
  textMask(policy: EnginePrivacy, place: keyof PrivacyActions): (text: string) => string;
  /**
   * Replaces the personal and secret values in a whole Export*ServiceRequest as the policy says at this place, whichever field they
   * are in. Throws a TypeError if the request is malformed.
   */
  redact(
    policy: EnginePrivacy,
    place: keyof PrivacyActions,
    signal: Signal,
    tenant: string,
    request: Uint8Array,
  ): Redacted;

  /**
   * Divides an Export*ServiceRequest, off the event loop, into several of at most `most` bytes that have the same records together.
   * A part is larger if it is a single record with what surrounds it, or if more parts would repeat more bytes than the request has.
   * Resolves to null if the request is malformed or cannot be divided.
   */
  split(signal: Signal, request: Buffer, most: number): Promise<Buffer[] | null>;

  /**
   * Pays for alarms, in their order, from budgets of all tenants together and of each tenant, which are 0 if there is no limit.
   * @param state what the previous call returned; empty at the beginning, when the budgets are full
   * @param ms milliseconds since 1970, which must not be less than those of the previous call
   */
  spendAlarms(
    budget: { perDay: number; perTenantPerDay: number },
    state: Uint8Array,
    ms: number,
    alarms: readonly Alarm[],
  ): { state: Buffer; paid: boolean[] };

  /** Counts the log records, spans or data points of a request, off the event loop. Resolves to null if it is malformed. */
  countRecords(signal: Signal, request: Buffer): Promise<number | null>;

  /**
   * Computes the verdict of a driftlock.v1.Recording again. Returns the report that it begins an anomaly with, a driftlock.v1.Anomaly
   * without the measures and excerpts of its window and the nearest record.
   */
  recompute(recording: Uint8Array): Buffer;

  Engine: new (options: EngineOptions) => NativeEngine;
  /** Starts 1 to 64 threads for several engines, which have their turns in a circle. */
  enginePool(threads: number): NativeEnginePool;
}

const require = createRequire(import.meta.url);
const load = require("node-gyp-build") as (root: string) => Native;

/** The addon: a prebuild if one fits this platform, else the one that `make build` or the installation has built. */
export const native: Native = load(fileURLToPath(new URL("..", import.meta.url)));
