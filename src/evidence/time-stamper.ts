/** Asks a time-stamping authority (RFC 3161) to confirm when a bundle was signed. */
import { boundedFetch } from "../base/bounded-fetch.ts";
import type { Config } from "../config/schema.ts";
import type { Timestamping } from "./bundle.ts";
import { newNonce, readToken, requestOf, tokenIn } from "./token.ts";

type Timestamps = Config["evidence"]["timestamps"];

/** Where warnings go. */
export interface Log {
  warn(details: object, message: string): void;
}

/** How long an authority that has failed is not asked again, so that bundles do not wait for it one after another. */
const pauseMs = 60_000;

/** There is no token. The message completes "the authority". */
export class NoToken extends Error {}

export class TimeStamper {
  readonly #url: string;
  readonly #policy: string | null;
  readonly #timeout: number;
  readonly #log: Log;
  #failed: { until: number; reason: string } | undefined;

  /** Returns undefined if no authority is configured. */
  static of(timestamps: Timestamps, log: Log): TimeStamper | undefined {
    const { url } = timestamps;
    return url === undefined ? undefined : new TimeStamper(url, timestamps, log);
  }

  private constructor(url: string, { policy, timeout }: Timestamps, log: Log) {
    this.#url = url;
    this.#policy = policy ?? null;
    this.#timeout = timeout;
    this.#log = log;
  }

  /** Returns what a new bundle says that it asks for. */
  ask(): Timestamping {
    return { authority: new URL(this.#url).host, nonce: newNonce(), policy: this.#policy, missing: null };
  }

  /**
   * Resolves to the token for a signature.
   * @throws {NoToken}
   */
  async stamp({ authority, nonce, policy }: Timestamping, signature: Uint8Array): Promise<Uint8Array> {
    if (this.#failed !== undefined && performance.now() < this.#failed.until) {
      throw new NoToken(`was not asked, since shortly before, it ${this.#failed.reason}`);
    }
    this.#failed = undefined;
    const asked = { data: signature, nonce, policy };
    try {
      const token = await tokenIn(await this.#post(await requestOf(asked)));
      const { faults } = await readToken(token, asked);
      if (faults.length > 0) throw new Error(`sent a token that does not fit: ${faults.join(" ")}`);
      return token;
    } catch (error) {
      const { message, cause } = error as Error;
      this.#failed = { until: performance.now() + pauseMs, reason: message };
      this.#log.warn({ authority, reason: message, cause }, "evidence: a bundle gets no time stamp");
      throw new NoToken(message);
    }
  }

  async #post(body: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
    const headers = { "content-type": "application/timestamp-query" };
    const signal = AbortSignal.timeout(this.#timeout);
    let answer: Response;
    try {
      answer = await boundedFetch(this.#url, { method: "POST", headers, body, signal, redirect: "error" });
    } catch (error) {
      if (signal.aborted) throw new Error(`did not answer within ${this.#timeout} ms`);
      // The cause may name addresses of the operator's network, which are no business of whoever reads the bundle.
      throw new Error("could not be reached", { cause: (error as Error).cause ?? error });
    }
    if (!answer.ok) throw new Error(`answered with the status ${answer.status}`);
    return new Uint8Array(await answer.arrayBuffer());
  }
}
