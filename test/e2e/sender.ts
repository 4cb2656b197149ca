import { setTimeout as sleep } from "node:timers/promises";
import { Client, credentials } from "@grpc/grpc-js";
import { grpcMethod, type Signal, signals } from "../../src/otlp/protocol.ts";
import { numbered } from "./numbered.ts";

export const perRequest = 100;
const deadlineMs = 60_000;

/** Sends numbered records of all signals in turn at a rate, and records which were acknowledged. */
export class Sender {
  readonly #client: Client;
  /** The first number of each acknowledged request. */
  readonly acknowledged: number[] = [];
  readonly #first: number;
  #next: number;
  /** The number of records that were not acknowledged. */
  refused = 0;
  readonly #waiting = new Set<Promise<void>>();
  #stopped = false;

  /** @param first the number of the first record. */
  constructor(address: string, first = 0) {
    this.#client = new Client(address, credentials.createInsecure());
    this.#first = first;
    this.#next = first;
  }

  get sent(): number {
    return this.#next - this.#first;
  }

  /** Resolves when all requests have been answered. */
  async run(rate: number, seconds = Number.POSITIVE_INFINITY): Promise<void> {
    const start = performance.now();
    for (;;) {
      const elapsed = (performance.now() - start) / 1e3;
      if (elapsed >= seconds || this.#stopped) break;
      while (this.sent + perRequest <= elapsed * rate) this.#send();
      await sleep(20);
    }
    await Promise.all(this.#waiting);
    this.#client.close();
  }

  stop(): void {
    this.#stopped = true;
  }

  #send(): void {
    const first = this.#next;
    this.#next += perRequest;
    const signal: Signal = signals[(first / perRequest) % signals.length]!;
    const identity = (bytes: Buffer) => bytes;
    const body = numbered(signal, first, perRequest);
    const done = new Promise<void>((resolve) => {
      const options = { deadline: Date.now() + deadlineMs };
      this.#client.makeUnaryRequest(grpcMethod[signal], identity, identity, body, options, (error) => {
        if (error) this.refused += perRequest;
        else this.acknowledged.push(first);
        resolve();
      });
    });
    this.#waiting.add(done);
    void done.then(() => this.#waiting.delete(done));
  }
}
