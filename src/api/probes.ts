/**
 * Health, readiness and metrics on a listener of their own, so that nobody who reaches the API's port can block probes, and
 * processes without an API have them as well. It shows only names, states and metrics, and needs no key. It runs on a thread: a
 * flood that keeps the event loop busy delays answers to others, but a healthy process must not be restarted for it.
 */
import { Worker } from "node:worker_threads";
import type { Registry } from "prom-client";
import { type HealthOptions, isServing, livenessOf, readinessOf } from "./health.ts";
import type { ProbeAnswers, ProbeData, ProbeMessage } from "./probes-thread.ts";

export interface Probes {
  /** The address that is bound, as host:port. */
  address: string;
  close(): Promise<void>;
}

export interface ProbeOptions extends Pick<HealthOptions, "readiness" | "alive"> {
  /** How many milliseconds the event loop may be busy before probes fail; 0 disables the check. */
  stuckAfter: number;
  registry: Registry;
}

/**
 * Starts the listener.
 * @throws {Error} with the address and the remedy if it cannot be bound.
 */
export async function startProbes(
  endpoint: string,
  { readiness, alive, stuckAfter, registry }: ProbeOptions,
): Promise<Probes> {
  const answers = (): ProbeAnswers => {
    const live = livenessOf(alive());
    const ready = readinessOf(readiness(), false);
    return {
      healthz: { status: live.status === "ok" ? 200 : 503, body: live },
      readyz: { status: isServing(ready) ? 200 : 503, body: ready },
    };
  };
  // What is closing may not be readable any more.
  const metrics = () => registry.metrics().catch(() => null);
  const data: ProbeData = { endpoint, stuckAfter, first: answers(), metricsType: registry.contentType };
  // The name has the same ending as this file's, before and after compilation.
  const url = new URL(`./probes-thread${import.meta.url.slice(-3)}`, import.meta.url);
  const worker = new Worker(url, { workerData: data });
  const address = await new Promise<string>((resolve, reject) => {
    worker.once("error", reject);
    worker.on("message", (message: ProbeMessage) => {
      if (message === "ask") worker.postMessage(answers());
      else if (message === "metrics") void metrics().then((text) => worker.postMessage({ metrics: text }));
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
