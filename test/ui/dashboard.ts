/** A sidecar that has found anomalies in the telemetry of the synthetic shop, with its dashboard. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pino from "pino";
import { configSchema } from "../../src/config/schema.ts";
import type { AnomalyJson } from "../../src/json/anomaly-schema.ts";
import { type Sidecar, startSidecar } from "../../src/sidecar/index.ts";
import { driftlock } from "../cli/driftlock.ts";
import { logs, normalLines, sendHttp, strangeLine } from "../cli/sender.ts";
import { startDownstream } from "../forward/downstream.ts";

export interface Dashboard {
  sidecar: Sidecar;
  /** The URL of the API, without a path. */
  api: string;
  dataDir: string;
  /** Returns the address of a page. */
  url(path: string): string;
  get<T>(path: string): Promise<T>;
  anomalies(): Promise<AnomalyJson[]>;
  /** Sends the shop's telemetry of a time in which its faults occur, as fast as possible. */
  sendShop(): Promise<void>;
  /** Sends the telemetry of a larger system in which a fault spreads, as fast as possible. */
  sendFault(): Promise<void>;
  /** Sends the logs of a service that become strange, of which there is one anomaly. */
  sendStrange(): Promise<void>;
  close(): Promise<void>;
}

/** Seconds of telemetry. */
const seconds = 200;
const faults = ["new-error@100s+8s", "secret-leak@120s+8s", "latency@150s+20s", "metric-spike@180s+15s"];
/** The services that the faults are in. */
const services = ["payments", "checkout", "inventory"];

/** Sends synthetic telemetry to a sidecar, with the arguments of `driftlock generate`. */
export async function generate({ addresses }: Sidecar, ...args: string[]): Promise<void> {
  const { code, err } = await driftlock(["generate", "--endpoint", `http://${addresses.grpc}`, ...args]);
  if (code !== 0) throw new Error(`generate failed: ${err}`);
}

export async function startDashboard(input: object = {}): Promise<Dashboard> {
  const undo: (() => unknown)[] = [];
  const target = await startDownstream("grpc");
  undo.push(() => target.close());
  const data_dir = mkdtempSync(join(tmpdir(), "driftlock-ui-"));
  undo.push(() => rmSync(data_dir, { recursive: true, force: true }));
  const anyPort = { endpoint: "127.0.0.1:0" };
  const config = configSchema.parse({
    receive: { grpc: anyPort, http: anyPort },
    forward: { endpoint: target.endpoint },
    api: anyPort,
    data_dir,
    ...input,
  });
  const sidecar = await startSidecar(config, { log: pino({ level: "silent" }) });
  undo.push(() => sidecar.close());
  const api = `http://${sidecar.addresses.api}`;
  const get = async <T>(path: string) => (await (await fetch(api + path)).json()) as T;
  const anomalies = async () => (await get<{ items: AnomalyJson[] }>("/v1/anomalies")).items;
  return {
    sidecar,
    api,
    dataDir: data_dir,
    url: (path) => api + path,
    get,
    anomalies,
    async sendShop() {
      let found: AnomalyJson[] = [];
      await generate(
        sidecar,
        ...["--speed", "60", "--rate", String(60 * 200), "--duration", `${seconds}s`],
        ...["--start", new Date(Date.now() - 1_000 * seconds).toISOString()],
        ...faults.flatMap((fault) => ["--anomaly", fault]),
      );
      while (!services.every((service) => found.some((anomaly) => anomaly.service === service))) {
        await sleep(100);
        found = await anomalies();
      }
    },
    sendFault: () =>
      generate(
        sidecar,
        ...["--topology", "--speed", "240", "--rate", "24000", "--duration", "30m"],
        ...["--start", new Date(Date.now() - 31 * 60_000).toISOString(), "--fault", "bad-deploy@20m+5m"],
      ),
    async sendStrange() {
      const at = Math.floor(Date.now() / 1_000) - 1_700_000_000;
      const lines = [...normalLines(600), strangeLine];
      const body = logs(lines, at - lines.length, "till");
      const { status } = await sendHttp(sidecar.addresses.http!, body);
      if (status !== 200) throw new Error(`the logs were answered with ${status}`);
    },
    async close() {
      for (const each of undo.reverse()) await each();
    },
  };
}
