/** The one file that loads the addon. Its types are the whole native surface: few, coarse calls. */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { Signal } from "./otlp/protocol.ts";

export type CodecName = "openzl" | "zstd" | "lz4" | "gzip";

/** How bytes are read as a column: its type picks the OpenZL graph. Other codecs see the bytes alone. */
export type ColumnType =
  | { kind: "bytes" }
  /** Little-endian integers of so many bytes; `sorted` for timestamps and counters: delta, then entropy. */
  | { kind: "numeric"; width: 1 | 2 | 4 | 8; sorted?: boolean }
  /** Fixed-width records. */
  | { kind: "struct"; width: number }
  /** Strings laid end to end; `lengths` in bytes, summing to the input's length. Tokenised, as strings repeat. */
  | { kind: "string"; lengths: Uint32Array };

export interface PermutationOptions {
  /** Permutations at the most (N of the p-value). */
  permutations: number;
  /** Records moved together; 1 permutes records, more keeps what neighbours share. */
  block: number;
  /** Besag-Clifford: stop after so many permutations at least as extreme; 0 draws them all. */
  stopAfter: number;
  /** Of ChaCha20; the same seed gives the same p-value. */
  seed: bigint;
  codec: CodecName;
  level?: number;
}

export interface PermutationResult {
  pValue: number;
  /** Drawn, at most `permutations`. */
  permutations: number;
  /** At least as extreme as observed. */
  exceeding: number;
  observed: number;
}

export interface WindowMetrics {
  /** C_W / |W| */
  compressionRatio: number;
  /** C_B / |B| */
  baselineRatio: number;
  /** ((C_B - C_W) x 8) / |W|, bits a byte. */
  deltaBits: number;
  /** Shannon entropy of the window, bits a byte. */
  entropy: number;
  /** Textbook NCD of baseline and window. */
  ncd: number;
  /** NCD of the window and a piece of the baseline as long as it. */
  ncdSizeMatched: number;
}

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

export interface EngineWindow {
  /** Index in the request of the record that completed it. */
  record: number;
  stream: string;
  /** Of the strangest that was judged in the window. */
  score: number;
  pValue: number;
  flagged: boolean;
  /** As in the .proto. */
  channel: number;
  compressionRatio: number;
  deltaBits: number;
  entropy: number;
  ncd: number;
}

export interface EngineStats {
  streams: number;
  /** Streams still without limits. */
  learning: number;
  /** Streams given up for newer ones since the start. */
  evicted: number;
  /** Bytes that streams hold. */
  bytes: number;
  /** Streams whose figures were lost before they were asked for, since the start. */
  untold: number;
  /** Alarms that the budgets of streams have withheld since the start, and those that the process's has. */
  withheldByStreams: number;
  withheldByProcess: number;
  /** Requests handed over and not answered. */
  pending: number;
}

export interface NativeEngine {
  /**
   * Judges one Export*ServiceRequest on the engine's threads, in the order of calls for each stream.
   * `request` is copied, but not before the engine is about to take it: it must not change until the promise settles. One
   * that was detached or resized meanwhile rejects. A SharedArrayBuffer is refused, here and everywhere else.
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
   * Figures of the streams that have changed since they were last told, about `most` of them: how many are left in 32 bits,
   * then each stream as StreamFigures::encode in native/report/figures.hpp says.
   */
  figures(most: number): Promise<Buffer>;
  /**
   * Gives up the requests that are pending, after the record that each thread is working on: their promises reject with an
   * error whose code is ERR_DRIFTLOCK_ENGINE_CANCELLED. Other calls, and later requests, take their turn as usual.
   */
  cancel(): void;
  /** Waits for what is pending. May be called again; other calls throw from now on, with the code ERR_DRIFTLOCK_ENGINE_CLOSED. */
  close(): Promise<void>;
}

export interface Native {
  readonly versions: Readonly<Record<"openzl" | "openzlFormat" | "zstd" | "lz4" | "zlib", string>>;

  compress(codec: CodecName, bytes: Uint8Array, level?: number, column?: ColumnType): Buffer;
  /** @throws RangeError when the result would be larger than `maxSize` bytes: bombs are refused before they expand. */
  decompress(codec: CodecName, bytes: Uint8Array, maxSize: number): Buffer;
  /** The same on a thread of libuv's pool; `bytes` are copied. Wrong arguments reject the promise. */
  decompressAsync(
    codec: CodecName | "lz4-frames" | "snappy",
    bytes: Uint8Array,
    maxSize: number,
  ): Promise<Buffer>;
  /** Bytes that `compress` would give, without giving them. */
  compressedSize(codec: CodecName, bytes: Uint8Array, level?: number, column?: ColumnType): number;

  /**
   * The SeverityNumber of a level's name in any case of letters, by appendix B of the log data model; 0, unspecified, for
   * names that are not known.
   */
  severityNumber(name: string): number;

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
  /** ChaCha20 key stream of RFC 8439: key 32 bytes, nonce 12 bytes. */
  chacha20(key: Uint8Array, counter: number, nonce: Uint8Array, length: number): Buffer;

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
