import { asText } from "./as-text.ts";
import type { AttributesLike, ResourceLike } from "./encoder/values.ts";
import type { AnomalyEvent } from "./event.ts";
import { flushBeforeExit } from "./exit.ts";
import { Intake } from "./intake.ts";
import { Listeners } from "./listeners.ts";
import { observed } from "./observe.ts";
import type { DriftlockOptions, DriftlockStats } from "./options.ts";
import {
  type LogInput,
  resourceOf,
  type SpanInput,
  scope,
  toLogRecord,
  toMetric,
  toSpan,
} from "./records.ts";

/** The largest number of streams of text whose resources are kept at once. */
const mostStreams = 10_000;

/** Returns the queue of an instance, for the other parts of the SDK. */
export let intakeOf: (driftlock: Driftlock) => Intake;

/**
 * Finds anomalies in the logs, spans and values of this process. No method throws and no promise rejects, except those of `ready`,
 * `snapshot` and `restore`: what goes wrong is counted in `stats` and passed to `onError`. Timers do not keep the process alive; what
 * waits when the event loop is empty is judged before the process ends, unless `process.exit` ends it.
 */
export class Driftlock implements AsyncDisposable {
  readonly #intake: Intake;
  readonly #listeners = new Listeners();
  readonly #resource: ResourceLike;
  /** Resources of streams of text by their names. */
  readonly #streams = new Map<string, ResourceLike>();

  static {
    intakeOf = (driftlock) => driftlock.#intake;
  }

  /** Takes log records of the service. */
  readonly logs: {
    /** Takes a log record. */
    push: (record: LogInput) => void;
  } = {
    push: (record) => this.#intake.add("logs", this.#resource, scope, () => toLogRecord(record)),
  };

  /** The options are checked when the engine is loaded. Await `ready` to learn of an error in them. */
  constructor(options: DriftlockOptions = {}) {
    const service = options.service ?? process.env.OTEL_SERVICE_NAME ?? "unknown_service:node";
    this.#resource = resourceOf(service);
    this.#intake = new Intake(options, this.#listeners);
    if (options.onAnomaly) this.#listeners.add("anomaly", options.onAnomaly);
    if (options.onError) this.#listeners.add("error", options.onError);
    flushBeforeExit.add(this.#intake);
  }

  /** Takes a line of text. Its stream is `logs service.name=STREAM`. */
  text(stream: string, line: string): void {
    this.#intake.add("logs", this.#resourceOf(stream), scope, () => toLogRecord({ body: line }));
  }

  /** Takes a value. Its stream is that of the service's metric with this name and these attributes. */
  value(stream: string, value: number, attributes: AttributesLike = {}): void {
    this.#intake.add("metrics", this.#resource, scope, () => toMetric(stream, value, attributes));
  }

  /** Takes a finished span of the service. */
  span(span: SpanInput): void {
    this.#intake.add("traces", this.#resource, scope, () => toSpan(span, this.#resource));
  }

  /**
   * Returns a function that does what `fn` does, and each of whose calls becomes a span: how long it takes, and whether it fails.
   * @param name the name of the spans; that of the function by default
   */
  observe<This, Args extends unknown[], Result>(
    fn: (this: This, ...args: Args) => Result,
    name: string = fn.name || "anonymous",
  ): (this: This, ...args: Args) => Result {
    return observed(fn, (duration, error) => this.span({ name, duration, ...(error && { error }) }));
  }

  /** Calls `listener` with each report of an anomaly. Returns a function that ends this. */
  on(event: "anomaly", listener: (event: AnomalyEvent) => unknown): () => void;
  /** Calls `listener` with what goes wrong within Driftlock. Returns a function that ends this. */
  on(event: "error", listener: (error: Error) => unknown): () => void;
  on(event: "anomaly" | "error", listener: (value: never) => unknown): () => void {
    return this.#listeners.add(event, listener);
  }

  /** Hands all records to the engine. Resolves once they are judged and their anomalies are reported. */
  flush(): Promise<void> {
    return this.#intake.flush();
  }

  /**
   * Loads the engine.
   * @throws {ConfigError} with the code ERR_DRIFTLOCK_CONFIG if the options cannot be used.
   */
  async ready(): Promise<void> {
    await this.#intake.load();
  }

  /**
   * Returns all that was learned from the records so far.
   * @throws {Error} with the code ERR_DRIFTLOCK_ENGINE_CLOSED after `close`, or if the options cannot be used.
   */
  snapshot(): Promise<Buffer> {
    return this.#intake.snapshot();
  }

  /**
   * Restores a snapshot of an instance with the same options. Call it before the first record. Resolves to false, and changes
   * nothing, if the bytes are not a snapshot that this version can read.
   * @throws {Error} with the code ERR_DRIFTLOCK_ENGINE_STARTED after the first record, ERR_DRIFTLOCK_ENGINE_CLOSED after `close`.
   */
  restore(snapshot: Uint8Array): Promise<boolean> {
    return this.#intake.restore(Buffer.from(snapshot));
  }

  /** Returns what was counted so far. */
  stats(): DriftlockStats {
    return this.#intake.stats();
  }

  /** Completes what is pending, then ends the engine's threads. Later records are dropped and counted. It may be called again. */
  async close(): Promise<void> {
    flushBeforeExit.delete(this.#intake);
    await this.#intake.close();
  }

  /** Closes the instance at the end of the scope of `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #resourceOf(stream: string): ResourceLike {
    let resource = this.#streams.get(stream);
    if (resource === undefined) {
      if (this.#streams.size >= mostStreams) this.#streams.clear();
      resource = resourceOf(asText(stream));
      this.#streams.set(stream, resource);
    }
    return resource;
  }
}
