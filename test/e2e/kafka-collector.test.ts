/** A real Collector fills topics, and what workers find is what they find if its sender had sent to Driftlock. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { decodeReport } from "../../src/anomaly/report.ts";
import type { Batch } from "../../src/generate/batch.ts";
import { ShopTelemetry } from "../../src/generate/shop-telemetry.ts";
import { type Signal, signals } from "../../src/otlp/protocol.ts";
import { Broker } from "../kafka/broker.ts";
import { Installation } from "../kafka/installation.ts";
import { Postgres } from "../store/postgres.ts";
import { stopAll } from "./programs.ts";
import { startCollector } from "./tools.ts";

let broker: Broker;
let postgres: Postgres;
const folder = mkdtempSync(join(tmpdir(), "driftlock-collector-"));
const keyFile = join(folder, "hash.key");
const installations: Installation[] = [];
beforeAll(async () => {
  writeFileSync(keyFile, randomBytes(32).toString("hex"), { mode: 0o600 });
  [broker, postgres] = await Promise.all([Broker.start(), Postgres.start()]);
}, 180_000);
afterAll(async () => {
  for (const each of installations) await each.remove();
  await stopAll();
  await broker?.remove();
  await postgres?.remove();
  rmSync(folder, { recursive: true });
});

const minute = 60_000;

/** A shop with anomalies in each of its signals. */
const requests: Batch[] = [
  ...new ShopTelemetry({
    seed: "collector",
    startUnixNano: 1_790_000_000_000_000_000n,
    signals,
    rate: 400,
    speed: 10,
    duration: 20 * minute,
    recordsPerRequest: 200,
    schedule: (["new-error", "latency", "metric-spike"] as const).map((name, i) => ({
      name,
      start: (8 + 4 * i) * minute,
      end: (9 + 4 * i) * minute,
    })),
  }).batches(),
];

/** Sends the requests one after another. */
async function sendAll(address: string): Promise<void> {
  for (const { signal, body } of requests) {
    const answer = await fetch(`http://${address}/v1/${signal}`, {
      method: "POST",
      headers: { "content-type": "application/x-protobuf" },
      body: new Uint8Array(body),
    });
    expect(answer.status, await answer.text()).toBe(200);
  }
}

async function install(topics: readonly object[]): Promise<Installation> {
  const made = await Installation.create(broker, {
    store: { url: postgres.url(await postgres.createDatabase()) },
    receive: { grpc: { enabled: false }, http: { endpoint: "127.0.0.1:0" }, kafka: { topics } },
    detect: { key_file: keyFile, baseline: { records: 128 } },
  });
  installations.push(made);
  return made;
}

/**
 * The verdicts that workers reported. A Collector writes each request anew, in bytes of its own, so that the excerpts and the compression
 * of windows of bytes, on which no verdict depends, may differ.
 */
async function found(tried: Installation): Promise<unknown[]> {
  const records = await tried.read("anomalies");
  const verdicts = records
    .filter(({ headers }) => headers.get("kind") === "anomaly")
    .map(({ value }) => {
      const { id, stream, channel, timeUnixNano, state, occurrence, score, limit, pValue, explanation } =
        decodeReport(value!).message;
      return { id, stream, channel, timeUnixNano, state, occurrence, score, limit, pValue, explanation };
    });
  return verdicts.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : Number(a.occurrence - b.occurrence)));
}

/** Resolves once workers have judged as many records as were sent. */
async function judgedAll(tried: Installation, judged: () => Promise<number>): Promise<void> {
  const sent = requests.reduce((sum, { records }) => sum + records, 0);
  await expect.poll(judged, { timeout: 2 * minute, interval: 500 }).toBe(sent);
  await tried.judged();
}

async function recordsJudged(address: string): Promise<number> {
  const text = await (await fetch(`http://${address}/metrics`)).text();
  const counts = text.matchAll(/^driftlock_receiver_records_total\{signal="\w+"\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

let direct: unknown[];

async function run(tried: Installation, send: (http: string) => Promise<void>): Promise<unknown[]> {
  const role = tried.start("router,worker", { "health.endpoint": "127.0.0.1:0" });
  const [, health] = await role.says(/"health":"(127.0.0.1:\d+)"/);
  const [, http] = await role.says(/"http":"(127.0.0.1:\d+)"/);
  await send(http!);
  await judgedAll(tried, () => recordsJudged(health!));
  expect(await role.kill("SIGTERM")).toBe(0);
  return found(tried);
}

test("without a Collector, anomalies are found", async () => {
  direct = await run(await install([]), sendAll);
  expect(direct.length).toBeGreaterThan(10);
}, 180_000);

test.each([
  ["otlp_proto", true],
  ["otlp_json", false],
] as const)(
  "by %s, with keys: %s, the same anomalies are found",
  async (encoding, keyed) => {
    const prefix = `${encoding}_`;
    const topicOf = (signal: Signal) => ({ topic: `${prefix}${signal}`, signal, encoding });
    const tried = await install(signals.map(topicOf));
    const admin = tried.kafka.admin();
    // The key keeps a resource in one partition. Nothing keeps a trace's services in order but a single one.
    for (const signal of signals) {
      await admin.create(`${prefix}${signal}`, keyed && signal !== "traces" ? 3 : 1, 1, new Map());
    }
    await admin.close();
    const collector = await startCollector("collector-kafka.yaml", {
      BROKER: `127.0.0.1:${broker.port}`,
      PREFIX: prefix,
      ENCODING: encoding,
      KEYED: String(keyed),
    });
    const reports = await run(tried, () => sendAll(collector.http));
    expect(reports).toEqual(direct);
    await collector.program.stop();
  },
  180_000,
);
