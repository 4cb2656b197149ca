/** The one file that loads the addon. Its types are the whole native surface: few, coarse calls. */
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

export interface EngineOptions {
  streamBy: string[];
  baselineRecords: number;
  dictionarySize: number;
  /** News that keeps coming for so long, in event time, becomes normal. */
  acceptAfterMs: number;
  windowRecords: number;
  windowHop: number;
  alarmsPerStreamPerDay: number;
  /** Of all streams; 0 for no limit. */
  alarmsPerProcessPerDay: number;
  codec: CodecName;
  permutations: number;
  seed: bigint;
  /** 32 bytes that all hashes of records come from; by default those of the public key. */
  hashKey?: Uint8Array;
  threads: number;
  maxStreams: number;
  /** Of each tenant, judged at once; records of more pass unjudged. 0 for no limit. */
  streamsPerTenant: number;
  /** Forward flagged records alone, with their resources and scopes. */
  flaggedOnly: boolean;
  /** Give every record's score as well, for replay. */
  scores: boolean;
  /**
   * Let the engine's threads read each request where it is, instead of a copy of it. The caller of `process` must then neither
   * change nor detach the bytes until its promise settles: a change while they are read may crash the process.
   */
  readInPlace?: boolean;
}

export interface EngineOutcome {
  /** What goes on: the request's own Buffer where nothing was flagged, a new one otherwise; null for nothing at all. */
  forward: Buffer | null;
  /** Records in the request: log records, spans or metric points. */
  records: number;
  /** Records that were flagged. The first of them carry all CBAD attributes now; see `abridged` for the others. */
  flagged: number;
  /** Records that passed unjudged: their streams are beyond the tenant's quota. */
  limited: number;
  /** Records that passed unjudged: judging the request's others had taken all the work that one request may. */
  unjudged: number;
  /** Flagged records that carry the anomaly's id at the most, since the request has more than may be annotated whole. */
  abridged: number;
  /** Reports of anomalies that were left out, since the request has too many. */
  unreported: number;
  /** driftlock.v1.Anomaly messages, in wire order of their records. */
  anomalies: Uint8Array[];
  /** Where asked for, four numbers a record: score, p-value, 1 where it was flagged, and the channel as in the .proto. */
  scores?: Float64Array;
  /** Likewise the windows that ended in the request, in the order of their last records. */
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
  /** Memory that streams take, in bytes. */
  bytes: number;
  /** Number of streams whose statistics were lost before they were read. */
  untold: number;
  /** Number of alarms that the budgets of streams withheld. */
  withheldByStreams: number;
  /** Number of alarms that the budget of the process withheld. */
  withheldByProcess: number;
  /** Number of requests that are not judged yet. */
  pending: number;
}

export interface NativeEngine {
  /**
   * Judges one Export*ServiceRequest on the engine's threads, in the order of calls for each stream.
   * Unless it is read in place, `request` is copied, but not before the engine is about to take it: a change until the promise
   * settles may be seen or not, and a request that was detached or resized meanwhile rejects. A SharedArrayBuffer is refused, here and everywhere else.
   * `receivedMs`: by a clock of the receiver's that only runs forwards; the budget of the process runs on it, or on event
   * time without it.
   * Rejects with the code ERR_DRIFTLOCK_OTLP_MALFORMED if the request is not what its signal requires; the message names
   * the field and the offset.
   */
  process(signal: Signal, tenant: string, request: Uint8Array, receivedMs?: number): Promise<EngineOutcome>;
  /**
   * Says, at its place in the order of calls, that so much time (1 to 60,000 ms) has passed without a request but of the
   * tenants `heard`: streams of the others that are silent for too long are told, as driftlock.v1.Anomaly messages.
   */
  advance(ms: number, heard: string[], receivedMs?: number): Promise<Uint8Array[]>;
  stats(): EngineStats;
  /** All streams as they are behind the calls so far and before later ones; packed, written on the engine's threads. */
  snapshot(): Promise<Buffer>;
  /**
   * Takes over what `snapshot` gave; before the first call of `process`. False, with nothing changed, where the bytes are
   * no snapshot. One of an engine with other baselines, windows, dictionary sizes, seed, hash key or streams is of no use.
   */
  restore(snapshot: Uint8Array): boolean;
  /**
   * A person's word on an anomaly, at its place in the order of calls. `accept`: what it showed is normal from now on;
   * `false`: it was none, and scores like its own are usual. An open anomaly is over then: `ended` is the message. Not
   * found: no stream remembers it, for each keeps its latest four, or the stream has given way to newer ones.
   */
  feedback(
    tenant: string,
    anomalyId: string,
    kind: "accept" | "false",
  ): Promise<{ found: boolean; ended: Buffer | null }>;
  /**
   * Statistics of the streams that have changed since they were last read, about `most` of them, as a
   * driftlock.v1.StreamStatisticsPage.
   */
  statistics(most: number): Promise<Buffer>;
  /**
   * Gives up the requests that are pending, after the record that each thread is working on: their promises reject with an
   * error whose code is ERR_DRIFTLOCK_ENGINE_CANCELLED. Other calls, and later requests, take their turn as usual.
   */
  cancel(): void;
  /** Waits for what is pending. May be called again; other calls throw from now on, with the code ERR_DRIFTLOCK_ENGINE_CLOSED. */
  close(): Promise<void>;
}

/** The addon's functions. Those that the package exports are documented in src/index.ts. */
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
   * The SeverityNumber of a level's name in any case of letters, by appendix B of the log data model; 0, unspecified, for
   * names that are not known.
   */
  severityNumber(name: string): number;

  /**
   * An Export*ServiceRequest as several of at most `most` bytes, whose records together are its own; divided off the event
   * loop. A part is larger if it is one record with what surrounds it, or if more parts would repeat more bytes than the request
   * has. Null if the request is malformed or cannot be divided.
   */
  split(signal: Signal, request: Buffer, most: number): Promise<Buffer[] | null>;

  /** Counts the log records, spans or data points of a request off the event loop. Null if the request is malformed. */
  countRecords(signal: Signal, request: Buffer): Promise<number | null>;

  Engine: new (options: EngineOptions) => NativeEngine;
}

const require = createRequire(import.meta.url);
const load = require("node-gyp-build") as (root: string) => Native;

/** The addon: a prebuild where one fits, else what `make build` or an install built. */
export const native: Native = load(fileURLToPath(new URL("..", import.meta.url)));
