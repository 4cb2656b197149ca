import { decodeReport, type Report } from "../anomaly/report.ts";
import type { DetectConfig } from "../config/schema.ts";
import { type EngineStats, type EngineWindow, type NativeEngine, native } from "../native.ts";
import type { Signal } from "../otlp/protocol.ts";
import { decodeFigures, type FiguresPage } from "./figures.ts";
import { configuredHashKey, fingerprintOf } from "./hash-key.ts";

export interface Judged {
  /** What goes on: the request's own Buffer where nothing was flagged; null where nothing goes on. */
  forward: Buffer | null;
  records: number;
  flagged: number;
  /** Records that passed unjudged: their streams are beyond the tenant's quota. */
  limited: number;
  /** As in EngineOutcome. */
  unjudged: number;
  abridged: number;
  unreported: number;
  /** Reports of anomalies, in wire order of the records that they are about. */
  reports: Report[];
  /** As in EngineOutcome, where the engine was made with `scores`. */
  scores?: Float64Array;
  windows?: EngineWindow[];
}

export interface EngineSettings {
  /** all: whole requests go on; flagged: flagged records alone. */
  mode: "all" | "flagged";
  /** Of each tenant; no limit where it is not set. */
  streamsPerTenant?: number | undefined;
  scores?: boolean;
  /** 32 bytes that its hashes come from; what detect.key_file names where it is not set, else 32 zeros, which are no secret. */
  key?: Uint8Array;
  /**
   * Milliseconds by a clock that only runs forwards: the budget of the process, `per_process_per_day`, runs on it. Without
   * it, the budget runs on event time, which senders tell, and a replay gives the same anomalies each time.
   */
  clock?: () => number;
}

export interface FeedbackOutcome {
  /** False where no stream remembers the anomaly: each keeps its latest four. */
  found: boolean;
  /** The report that the anomaly is over; undefined where it was over before. */
  ended: Report | undefined;
}

/** Turns native verdicts into anomalies. */
export class Engine {
  readonly #native: NativeEngine;
  readonly #clock: (() => number) | undefined;
  /** Tells the keys of engines apart: what one has learned is of no use under another's. */
  readonly keyFingerprint: string;

  constructor(
    config: DetectConfig,
    { mode, streamsPerTenant = 0, scores = false, key = configuredHashKey(config), clock }: EngineSettings,
  ) {
    this.keyFingerprint = fingerprintOf(key);
    this.#clock = clock;
    this.#native = new native.Engine({
      streamBy: config.stream_by,
      baselineRecords: config.baseline.records,
      dictionarySize: config.baseline.dictionary_size,
      acceptAfterMs: config.baseline.accept_after,
      windowRecords: config.window.records,
      windowHop: config.window.hop,
      alarmsPerStreamPerDay: config.budget.per_stream_per_day,
      alarmsPerProcessPerDay: config.budget.per_process_per_day,
      codec: config.codec,
      permutations: config.permutations,
      seed: BigInt(config.seed),
      hashKey: key,
      threads: config.threads,
      maxStreams: config.max_streams,
      streamsPerTenant,
      flaggedOnly: mode === "flagged",
      scores,
    });
  }

  /**
   * Judges one Export*ServiceRequest. Requests are taken in the order of calls; `body` must not change until then.
   * @throws {Error} with the code ERR_DRIFTLOCK_OTLP_MALFORMED if the request is not the message that its signal requires,
   * ERR_DRIFTLOCK_ENGINE_CANCELLED if it was cancelled, and ERR_DRIFTLOCK_ENGINE_CLOSED after `close`.
   */
  async process(signal: Signal, tenant: string, body: Buffer): Promise<Judged> {
    const { anomalies, ...outcome } = await this.#native.process(signal, tenant, body, this.#clock?.());
    return { ...outcome, reports: anomalies.map(decodeReport) };
  }

  /**
   * Requests move the clock by which silent streams are missed. Where none has come for a while, this does: `ms`, 1 to
   * 60,000, have passed without one but of the tenants `heard`. Resolves to what that brings to light.
   */
  async advance(ms: number, heard: Iterable<string> = []): Promise<Report[]> {
    const anomalies = await this.#native.advance(ms, [...heard], this.#clock?.());
    return anomalies.map(decodeReport);
  }

  stats(): EngineStats {
    return this.#native.stats();
  }

  /**
   * Takes what an anomaly showed for normal: its news is learned, other channels let a few units of its kind pass and learn
   * them. It is over then, if it was open.
   */
  accept(tenant: string, anomalyId: string): Promise<FeedbackOutcome> {
    return this.#feedback(tenant, anomalyId, "accept");
  }

  /** Takes an anomaly for a false alarm: the stream's limit rises by scores like its own. It is over then, if it was open. */
  reject(tenant: string, anomalyId: string): Promise<FeedbackOutcome> {
    return this.#feedback(tenant, anomalyId, "false");
  }

  async #feedback(tenant: string, anomalyId: string, kind: "accept" | "false"): Promise<FeedbackOutcome> {
    const { found, ended } = await this.#native.feedback(tenant, anomalyId, kind);
    return { found, ended: ended ? decodeReport(ended) : undefined };
  }

  /** Figures of streams that have changed since they were last told, about `most` of them. */
  async figures(most: number): Promise<FiguresPage> {
    return decodeFigures(await this.#native.figures(most));
  }

  /** All streams as they are between the requests before this call and those after it. */
  snapshot(): Promise<Buffer> {
    return this.#native.snapshot();
  }

  /** Takes over a snapshot, before the first request; false, with nothing changed, where the bytes are none. */
  restore(snapshot: Buffer): boolean {
    return this.#native.restore(snapshot);
  }

  /** Gives up the requests that are pending, however long they would take; other calls take their turn. */
  cancel(): void {
    this.#native.cancel();
  }

  /** Finishes what is pending. */
  close(): Promise<void> {
    return this.#native.close();
  }
}
