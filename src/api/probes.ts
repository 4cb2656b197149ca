/**
 * Health and readiness on a listener of their own, so that nobody who reaches the API's port can keep probes out. It tells
 * names and states alone, and needs no key. It runs in a thread: a flood that keeps the event loop busy delays its answers
 * to others, but a sound process must not be restarted for it.
 */
import { Worker } from "node:worker_threads";
import { type HealthOptions, isServing, livenessOf, readinessOf } from "./health.ts";
import type { ProbeAnswers, ProbeData, ProbeMessage } from "./probes-thread.ts";

export interface Probes {
  /** host:port as bound. */
  address: string;
  close(): Promise<void>;
}

export interface ProbeOptions extends Pick<HealthOptions, "readiness" | "alive"> {
  /** For so many milliseconds the event loop may be busy until probes fail; 0: for any time. */
  stuckAfter: number;
}

/** @throws {Error} that names the address and the remedy where it cannot be bound. */
export async function startProbes(
  endpoint: string,
  { readiness, alive, stuckAfter }: ProbeOptions,
): Promise<Probes> {
  const answers = (): ProbeAnswers => {
    const live = livenessOf(alive());
    const ready = readinessOf(readiness(), false);
    return {
      healthz: { status: live.status === "ok" ? 200 : 503, body: live },
      readyz: { status: isServing(ready) ? 200 : 503, body: ready },
    };
  };
  const data: ProbeData = { endpoint, stuckAfter, first: answers() };
  // Its name ends as this file's does, before and after compilation.
  const url = new URL(`./probes-thread${import.meta.url.slice(-3)}`, import.meta.url);
  const worker = new Worker(url, { workerData: data });
  const address = await new Promise<string>((resolve, reject) => {
    worker.once("error", reject);
    worker.on("message", (message: ProbeMessage) => {
      if (message === "ask") worker.postMessage(answers());
      else if ("address" in message) resolve(message.address);
      else reject(new Error(message.failure));
    });
  });
  return {
    address,
    async close() {
      await worker.terminate();
    },
  };
}
