import { setTimeout as sleep } from "node:timers/promises";
import type { ForwardConfig } from "../config/schema.ts";
import { isRetryable } from "../otlp/codes.ts";
import { Code, type PartialSuccess, type Signal } from "../otlp/protocol.ts";
import { Drop } from "./drop.ts";
import { endpoints } from "./failover.ts";
import type { Slots } from "./slots.ts";
import type { Outcome } from "./transport/transport.ts";

export type Send = (signal: Signal, body: Buffer, abort: AbortSignal) => Promise<Outcome>;

/** Delivers one request: makes attempts and waits between them. */
export class Delivery {
  readonly signal: Signal;
  readonly body: Buffer;
  readonly #config: ForwardConfig;
  readonly #slots: Slots;
  readonly #send: Send;
  readonly #onRest: (resting: boolean) => void;
  readonly #start = performance.now();
  /** Aborted with the Drop that ends the request, also in the midst of an attempt. */
  readonly #stop = new AbortController();
  /** Aborted with the Drop that ends the waiting; an attempt in progress may still succeed. */
  readonly #stopWaiting = new AbortController();
  #attempts = 0;
  #bodyRead = true;
  #last: Outcome | undefined;

  /** @param onRest is called when the request begins to wait because the downstream asked for it, and when the wait ends. */
  constructor(
    signal: Signal,
    body: Buffer,
    config: ForwardConfig,
    slots: Slots,
    send: Send,
    onRest: (resting: boolean) => void,
  ) {
    this.signal = signal;
    this.body = body;
    this.#config = config;
    this.#slots = slots;
    this.#send = send;
    this.#onRest = onRest;
  }

  /**
   * Resolves once the downstream has taken the request.
   * @throws {Drop} when it was refused for good, was not taken in time, or was stopped.
   */
  async run(): Promise<PartialSuccess | undefined> {
    for (;;) {
      const outcome = await this.#attempt();
      if (outcome.code === Code.OK) {
        this.#slots.taken();
        return outcome.partialSuccess;
      }
      this.#stop.signal.throwIfAborted();
      await this.#backOff(outcome);
    }
  }

  /** Whether all attempts so far have read the body to its end, so that none does any more. */
  get bodyRead(): boolean {
    return this.#bodyRead;
  }

  /** Makes no more attempts; one in progress may still succeed. */
  halt(drop: Drop): void {
    this.#stopWaiting.abort(drop);
  }

  stop(drop: Drop): void {
    this.#stop.abort(drop);
    this.halt(drop);
  }

  async #attempt(): Promise<Outcome> {
    this.#stopWaiting.signal.throwIfAborted();
    if (!this.#slots.tryAcquire()) await this.#waitForTurn();
    try {
      this.#attempts++;
      this.#last = await this.#send(this.signal, this.body, this.#stop.signal);
      this.#bodyRead &&= this.#last.bodyRead === true;
      return this.#last;
    } finally {
      this.#slots.release();
    }
  }

  async #waitForTurn(): Promise<void> {
    const late = () => this.#stopWaiting.abort(this.#unavailable());
    const timer = setTimeout(late, this.#config.retry.max_elapsed_time - this.#elapsed());
    try {
      await this.#slots.acquire(this.#stopWaiting.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Exponential, with full jitter, on top of what the downstream asks for. */
  async #backOff({ code, message, retryAfterMs }: Outcome): Promise<void> {
    const { retry } = this.#config;
    if (retryAfterMs !== undefined) this.#slots.throttled(Math.min(retryAfterMs, retry.max_elapsed_time));
    if (!isRetryable(code, retryAfterMs)) {
      throw new Drop("refused", code, `${this.#downstream}: ${message}`);
    }
    if (!retry.enabled) throw this.#unavailable();

    const ceiling = Math.min(retry.max_interval, retry.initial_interval * 2 ** (this.#attempts - 1));
    const delay = (retryAfterMs ?? 0) + Math.random() * ceiling;
    if (this.#elapsed() + delay > retry.max_elapsed_time) throw this.#unavailable();
    if (retryAfterMs !== undefined) this.#onRest(true);
    try {
      await sleep(delay, undefined, { signal: this.#stopWaiting.signal });
    } catch {
      throw this.#stopWaiting.signal.reason;
    } finally {
      if (retryAfterMs !== undefined) this.#onRest(false);
    }
  }

  get #downstream(): string {
    return `downstream ${endpoints(this.#config).join(", ")}`;
  }

  #elapsed(): number {
    return performance.now() - this.#start;
  }

  /** The sender keeps the request and repeats it. */
  #unavailable(): Drop {
    const { retry } = this.#config;
    const seconds = (this.#elapsed() / 1e3).toFixed(1);
    const attempts = this.#attempts === 1 ? "one attempt" : `${this.#attempts} attempts`;
    const tried = this.#last
      ? `was not taken in ${attempts} and ${seconds} s; the last: ${this.#last.message}`
      : `waited ${seconds} s for its turn`;
    return new Drop(
      "unavailable",
      Code.UNAVAILABLE,
      `${this.#downstream}: the request ${tried}`,
      this.#last?.retryAfterMs ?? retry.max_interval,
    );
  }
}
