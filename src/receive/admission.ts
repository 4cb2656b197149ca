import type { ReceiveConfig } from "../config/schema.ts";
import { Code, ExportError } from "../otlp.ts";

/** After which a refused sender may try again: long enough to spare us, short enough for its own queue. */
const retryAfterMs = 1_000;

/** Requests in work and the bytes they hold, both protocols together. What is over is refused at once, nothing waits. */
export class Admission {
  readonly #maxRequests: number;
  readonly #maxBytes: number;
  #requests = 0;
  #bytes = 0;
  readonly #onIdle: (() => void)[] = [];

  constructor(limits: ReceiveConfig["limits"]) {
    this.#maxRequests = limits.max_concurrent_requests;
    this.#maxBytes = limits.max_inflight_size;
  }

  get requests(): number {
    return this.#requests;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Resolves when no request is in work. */
  async idle(): Promise<void> {
    if (this.#requests > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  /** @throws {ExportError} UNAVAILABLE, to be tried again, when too many requests are in work. */
  admit(): Permit {
    if (this.#requests >= this.#maxRequests) {
      throw new ExportError(
        Code.UNAVAILABLE,
        `overloaded: ${this.#requests} requests in work, the most that receive.limits.max_concurrent_requests allows`,
        retryAfterMs,
      );
    }
    this.#requests += 1;
    return new Permit(this);
  }

  /** Bytes that a holder of `held` could have in all. */
  headroom(held: number): number {
    return this.#maxBytes - this.#bytes + held;
  }

  /** For permits alone. */
  exchange(held: number, wanted: number): void {
    if (wanted > held && wanted > this.headroom(held)) {
      if (wanted > this.#maxBytes) {
        throw new ExportError(
          Code.RESOURCE_EXHAUSTED,
          `the request needs ${wanted} bytes of memory, more than receive.limits.max_inflight_size (${this.#maxBytes}); send smaller requests`,
        );
      }
      throw new ExportError(
        Code.UNAVAILABLE,
        `overloaded: requests in work hold ${this.#bytes} bytes of receive.limits.max_inflight_size (${this.#maxBytes})`,
        retryAfterMs,
      );
    }
    this.#bytes += wanted - held;
  }

  leave(held: number): void {
    this.#requests -= 1;
    this.#bytes -= held;
    if (this.#requests > 0) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}

/** One request's place: it holds a number of bytes until it is released. */
export class Permit {
  readonly #admission: Admission;
  #held = 0;
  #released = false;

  constructor(admission: Admission) {
    this.#admission = admission;
  }

  /** The most that `hold` would grant now. */
  get headroom(): number {
    return this.#admission.headroom(this.#held);
  }

  /**
   * Holds `bytes` in all from now on, more or fewer than before.
   * @throws {ExportError} UNAVAILABLE when there is no room now, RESOURCE_EXHAUSTED when there never is.
   */
  hold(bytes: number): void {
    if (this.#released) return;
    this.#admission.exchange(this.#held, bytes);
    this.#held = bytes;
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#admission.leave(this.#held);
  }
}
