/** Lets the engine notice silent streams while their tenants send nothing. Otherwise only requests move its clocks. */
import type { Engine, Findings } from "./engine.ts";

interface ErrorLog {
  error(details: object, message: string): void;
}

/** How much time passes with each step. */
const stepMs = 10_000;

/** Tells the engine every 10 s that time has passed for tenants without requests. */
export class SilenceClock {
  readonly #engine: Engine;
  readonly #emit: (findings: Findings) => void;
  readonly #log: ErrorLog;
  /** Tenants that sent requests since the last step. */
  readonly #active = new Set<string>();
  #begun = false;
  #refused = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(engine: Engine, emit: (findings: Findings) => void, log: ErrorLog) {
    this.#engine = engine;
    this.#emit = emit;
    this.#log = log;
  }

  /** Notes that a request of the tenant goes to the engine. */
  touch(tenant: string): void {
    this.#begun = true;
    this.#active.add(tenant);
  }

  /** Notes that a request was refused before it reached the engine: its sender is not silent. */
  refused(): void {
    this.#refused = true;
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      this.step().catch((err) => this.#log.error({ err }, "the search for silent streams failed"));
    }, stepMs).unref();
  }

  /**
   * Lets 10 s pass for tenants without requests since the last step. No time passes if requests were refused meanwhile, nor before
   * the first request of the process, because senders may not have connected yet.
   */
  async step(): Promise<void> {
    const active = [...this.#active];
    const counts = this.#begun && !this.#refused;
    this.#active.clear();
    this.#refused = false;
    if (!counts) return;
    this.#emit(await this.#engine.advance(stepMs, active));
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
