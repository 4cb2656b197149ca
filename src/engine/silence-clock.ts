/** Lets the engine miss streams while their tenants send nothing: requests alone move its clocks otherwise. */
import type { AnomalySink } from "../anomaly/report.ts";
import type { Engine } from "./engine.ts";

interface ErrorLog {
  error(details: object, message: string): void;
}

/** Of time that passes at once. */
const stepMs = 10_000;

export class SilenceClock {
  readonly #engine: Engine;
  readonly #emit: AnomalySink;
  readonly #log: ErrorLog;
  /** Tenants since the last step. */
  readonly #heard = new Set<string>();
  #begun = false;
  #refused = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(engine: Engine, emit: AnomalySink, log: ErrorLog) {
    this.#engine = engine;
    this.#emit = emit;
    this.#log = log;
  }

  /** A request of the tenant goes to the engine. */
  heard(tenant: string): void {
    this.#begun = true;
    this.#heard.add(tenant);
  }

  /** A request did not get that far: whoever sent it is not silent. */
  refused(): void {
    this.#refused = true;
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      this.step().catch((err) => this.#log.error({ err }, "streams that are silent could not be looked for"));
    }, stepMs).unref();
  }

  /**
   * 10 s have passed since the last step. They count for tenants that were not heard in them, unless requests were refused,
   * and from the process's first request on: before, senders may not have found it yet.
   */
  async step(): Promise<void> {
    const heard = [...this.#heard];
    const counts = this.#begun && !this.#refused;
    this.#heard.clear();
    this.#refused = false;
    if (!counts) return;
    for (const report of await this.#engine.advance(stepMs, heard)) this.#emit(report);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
