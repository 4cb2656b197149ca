/** The queue before the engine. It is bounded, it never throws, and the engine is loaded with the first record. */
import type { Signal } from "../otlp/protocol.ts";
import { Batch, type WriteRecord } from "./encoder/batch.ts";
import { writeLogRecord } from "./encoder/logs.ts";
import { writeMetric } from "./encoder/metrics.ts";
import { writeSpan } from "./encoder/spans.ts";
import type { ResourceLike, ScopeLike } from "./encoder/values.ts";
import { recycle } from "./encoder/writer.ts";
import type { Judge, Verdict } from "./judge.ts";
import type { Listeners } from "./listeners.ts";
import type { DriftlockOptions, DriftlockStats, DropReason } from "./options.ts";

/** A batch goes to the engine when it has so many records, so many bytes, or after so many milliseconds. */
const mostRecords = 512;
const mostBytes = 256 * 1024;
const longestWaitMs = 200;
const defaultPendingBytes = 16 * 2 ** 20;

type Item<S extends Signal> = Parameters<
  { logs: typeof writeLogRecord; traces: typeof writeSpan; metrics: typeof writeMetric }[S]
>[1];

const write: { readonly [S in Signal]: WriteRecord<Item<S>> } = {
  logs: writeLogRecord,
  traces: writeSpan,
  metrics: writeMetric,
};

/** Returns an empty batch of a signal. */
export function batchOf<S extends Signal>(signal: S): Batch<Item<S>> {
  return new Batch<Item<S>>(write[signal]);
}

export class Intake {
  readonly #options: DriftlockOptions;
  readonly #listeners: Listeners;
  readonly #most: number;
  readonly #batches: { readonly [S in Signal]: Batch<Item<S>> } = {
    logs: batchOf("logs"),
    traces: batchOf("traces"),
    metrics: batchOf("metrics"),
  };
  readonly #counts = { accepted: 0, judged: 0, flagged: 0, reports: 0 };
  readonly #dropped: Record<DropReason, number> = { full: 0, invalid: 0, closed: 0, failed: 0 };
  /** Requests that are not judged yet. */
  readonly #running = new Set<Promise<unknown>>();
  #runningBytes = 0;
  #judge: Promise<Judge> | undefined;
  #loaded: Judge | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: DriftlockOptions, listeners: Listeners) {
    this.#options = options;
    this.#listeners = listeners;
    this.#most = options.maxPendingBytes ?? defaultPendingBytes;
  }

  /** Adds a record to its batch. @param make returns the record; if it throws, the record counts as invalid */
  add<S extends Signal>(signal: S, resource: ResourceLike, scope: ScopeLike, make: () => Item<S>): void {
    const refused = this.#refusal(0);
    if (refused === undefined) this.#encode(signal, resource, scope, make);
    else this.#dropped[refused] += 1;
  }

  #encode<S extends Signal>(signal: S, resource: ResourceLike, scope: ScopeLike, make: () => Item<S>): void {
    const batch: Batch<Item<S>> = this.#batches[signal];
    try {
      batch.add(resource, scope, make());
    } catch (error) {
      this.#listeners.fail(error);
      this.#dropped.invalid += 1;
      return;
    }
    this.#counts.accepted += 1;
    if (batch.records >= mostRecords || batch.bytes >= mostBytes) this.#submit(signal);
    else this.#timer ??= setTimeout(() => this.#submitAll(), longestWaitMs).unref();
  }

  /** Returns why so many more bytes are not taken. */
  #refusal(bytes: number): DropReason | undefined {
    if (this.#closed) return "closed";
    return this.#pendingBytes + bytes >= this.#most ? "full" : undefined;
  }

  /**
   * Judges a whole request. Resolves to undefined if it could not be judged.
   * @param request what a writer has written, whose memory is used again
   * @param records how many it has
   */
  async judge(
    signal: Signal,
    request: Buffer,
    records: number,
    annotate: boolean,
  ): Promise<Verdict | undefined> {
    const refused = this.#refusal(request.length);
    if (refused !== undefined) {
      this.#dropped[refused] += records;
      return undefined;
    }
    this.#counts.accepted += records;
    return this.#run(signal, request, records, annotate);
  }

  /** Notes an error within the SDK. */
  fail(error: unknown): void {
    this.#listeners.fail(error);
  }

  /** Resolves once all records so far are judged. */
  async flush(): Promise<void> {
    this.#submitAll();
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Whether something waits. */
  get idle(): boolean {
    return this.#pendingBytes === 0;
  }

  /** Loads the engine. Rejects if the options cannot be used, or if it was never loaded before `close`. */
  load(): Promise<Judge> {
    if (this.#closed) this.#judge ??= Promise.reject(new Error("the instance is closed"));
    this.#judge ??= this.#create();
    return this.#judge;
  }

  async snapshot(): Promise<Buffer> {
    this.#submitAll();
    return (await this.load()).engine.snapshot();
  }

  /** Nothing is judged before this has been called, if it is called before the first record. */
  async restore(snapshot: Buffer): Promise<boolean> {
    return (await this.load()).engine.restore(snapshot);
  }

  stats(): DriftlockStats {
    return {
      ...this.#counts,
      dropped: { ...this.#dropped },
      pendingBytes: this.#pendingBytes,
      errors: this.#listeners.errors,
      engine: this.#loaded?.engine.stats(),
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.flush().then(async () => {
      const judge = await this.#judge?.catch(() => undefined);
      this.#loaded = undefined;
      await judge?.close();
    });
    return this.#closed;
  }

  get #pendingBytes(): number {
    const { logs, traces, metrics } = this.#batches;
    return logs.bytes + traces.bytes + metrics.bytes + this.#runningBytes;
  }

  async #create(): Promise<Judge> {
    try {
      const { Judge } = await import("./judge.ts");
      this.#loaded = new Judge(
        this.#options,
        (event) => {
          this.#counts.reports += 1;
          this.#listeners.emit(event);
        },
        (error) => this.#listeners.fail(error),
      );
      return this.#loaded;
    } catch (error) {
      this.#listeners.fail(error);
      throw error;
    }
  }

  #submitAll(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#submit("logs");
    this.#submit("traces");
    this.#submit("metrics");
  }

  #submit(signal: Signal): void {
    const batch = this.#batches[signal];
    const { records } = batch;
    if (records > 0) void this.#run(signal, batch.take(), records, false);
  }

  /** Never rejects. */
  #run(signal: Signal, request: Buffer, records: number, annotate: boolean): Promise<Verdict | undefined> {
    this.#runningBytes += request.length;
    const running = this.#process(signal, request, records, annotate).finally(() => {
      this.#runningBytes -= request.length;
      this.#running.delete(running);
    });
    this.#running.add(running);
    return running;
  }

  async #process(signal: Signal, request: Buffer, records: number, annotate: boolean) {
    let judge: Judge;
    try {
      judge = await this.load();
    } catch {
      // `load` has reported the error.
      this.#dropped.failed += records;
      return undefined;
    }
    try {
      const verdict = await judge.process(signal, request, annotate);
      recycle(request);
      this.#counts.judged += verdict.records;
      this.#counts.flagged += verdict.flagged;
      return verdict;
    } catch (error) {
      this.#listeners.fail(error);
      this.#dropped.failed += records;
      return undefined;
    }
  }
}
