/** Planted values are found on no server that Driftlock stores something on, except in what is on its way. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { decodeReport } from "../../src/anomaly/report.ts";
import { configSchema } from "../../src/config/schema.ts";
import type { TopicKind } from "../../src/kafka/topics.ts";
import { native } from "../../src/native.ts";
import { startSidecar } from "../../src/sidecar/index.ts";
import { Redis, skipRedis } from "../access/redis.ts";
import { startDownstream } from "../forward/downstream.ts";
import { Broker, skipKafka } from "../kafka/broker.ts";
import { Installation } from "../kafka/installation.ts";
import { Postgres, skipPostgres } from "../store/postgres.ts";
import {
  detect,
  expectNoSecret,
  privacy,
  secrets,
  sendSecrets,
  unpacked,
  unpackedBundle,
} from "./planted.ts";

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each();
});

/** Returns everything that a database holds, by table. */
async function tablesOf(postgres: Postgres, database: string): Promise<Map<string, Buffer>> {
  const tables = await postgres.query(
    database,
    "select table_name as name from information_schema.tables where table_schema = 'public'",
  );
  const found = new Map<string, Buffer>();
  for (const { name } of tables as { name: string }[]) {
    const rows = await postgres.query(database, `select * from "${name}"`);
    const values = rows.flatMap((row) => Object.values(row)).filter((value) => value !== null);
    found.set(name, Buffer.concat(values.map(contentOf)));
  }
  return found;
}

/** Returns the bytes of a value, and behind them what is packed in them. */
function contentOf(value: unknown): Buffer {
  if (!Buffer.isBuffer(value)) return Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
  return Buffer.concat([unpacked(value), excerptsOf(value), unpackedBundle(value.toString())]);
}

/** Returns the excerpts of a report, if the bytes are one. */
function excerptsOf(bytes: Buffer): Buffer {
  try {
    const { excerpts } = decodeReport(bytes).message;
    if (excerpts === undefined) return Buffer.alloc(0);
    const { baseline, window } = excerpts;
    const packed = [baseline, window].filter((each) => each !== undefined);
    return Buffer.concat(packed.map((each) => native.decompress("openzl", each, 2 ** 20)));
  } catch {
    return Buffer.alloc(0);
  }
}

/** Makes a bundle about an anomaly of planted values, once there is one. */
async function makeBundle(api: string): Promise<void> {
  const list = async () => (await fetch(`${api}/v1/anomalies`)).text();
  await expect.poll(list, { timeout: 60_000 }).toContain("E-mail addresses appear in");
  const { items } = JSON.parse(await list()) as { items: { id: string }[] };
  const found = items.find((item) => JSON.stringify(item).includes("E-mail addresses appear in"))!;
  const made = await fetch(`${api}/v1/evidence`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ anomaly: found.id }),
  });
  expect(made.status, await made.clone().text()).toBe(201);
}

describe.skipIf(skipPostgres)("no planted value is found", () => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await Postgres.start();
  }, 300_000);
  afterAll(() => postgres?.remove());

  it.skipIf(skipRedis)("in PostgreSQL and Redis", { timeout: 120_000 }, async () => {
    const [redis, downstream] = await Promise.all([Redis.start(), startDownstream("http")]);
    const data_dir = mkdtempSync(join(tmpdir(), "driftlock-secrets-"));
    undo.push(
      () => redis.kill(),
      () => downstream.close(),
      () => rmSync(data_dir, { recursive: true, force: true }),
    );
    const database = await postgres.createDatabase();
    const any = { endpoint: "127.0.0.1:0" };
    const config = configSchema.parse({
      receive: { grpc: any, http: any },
      detect,
      privacy,
      forward: { endpoint: downstream.endpoint, protocol: "http" },
      api: any,
      store: { url: postgres.url(database) },
      limits: { store: redis.url(), records_per_second: 1_000_000, bytes_per_day: 1_000_000_000 },
      data_dir,
    });
    const running = await startSidecar(config, { log: pino({ level: "silent" }) });
    undo.push(() => running.close());
    await sendSecrets(`http://${running.addresses.http}`);
    await makeBundle(`http://${running.addresses.api}`);

    const keys = () => redis.ask("KEYS", "*") as Promise<string[]>;
    await expect.poll(keys).not.toEqual([]);
    for (const key of await keys()) {
      expectNoSecret("a key of Redis", key);
      expectNoSecret(key, JSON.stringify(await redis.ask("HGETALL", key)));
    }
    await running.close();
    const tables = await tablesOf(postgres, database);
    for (const [name, bytes] of tables) expectNoSecret(`the table ${name}`, bytes);
    for (const name of ["anomalies", "evidence_files"])
      expect(tables.get(name)?.includes("[email"), name).toBe(true);
  });

  describe.skipIf(skipKafka)("with Kafka", () => {
    let broker: Broker;
    beforeAll(async () => {
      broker = await Broker.start();
    }, 300_000);
    afterAll(() => broker?.remove());

    it("in topics but `in`, and in `out` if what is forwarded is masked", { timeout: 180_000 }, async () => {
      const downstream = await startDownstream("http");
      undo.push(() => downstream.close());
      const database = await postgres.createDatabase();
      const installation = await Installation.create(broker, {
        store: { url: postgres.url(database) },
        receive: { grpc: { enabled: false }, http: { endpoint: "127.0.0.1:0" } },
        api: { endpoint: "127.0.0.1:0" },
        forward: { endpoint: downstream.endpoint, protocol: "http" },
        privacy: { ...privacy, forwarded: "mask" },
        detect,
      });
      undo.push(() => installation.remove());
      const front = installation.start("router,sink,api,forward");
      const worker = installation.start("worker");
      await sendSecrets(`http://127.0.0.1:${(await front.says(/"http":"127.0.0.1:(\d+)"/))[1]}`);
      await makeBundle(`http://127.0.0.1:${(await front.says(/"api":"127.0.0.1:(\d+)"/))[1]}`);
      await installation.judged();
      // An orderly end stores what was learned.
      for (const role of [worker, front]) {
        expect(await role.kill("SIGTERM")).toBe(0);
        expectNoSecret("the log of a process", role.said);
      }

      const contentOfTopic = async (kind: TopicKind) => {
        const records = await installation.read(kind);
        const parts = records.flatMap(({ key, value, headers }) => [key, value, [...headers]]);
        return Buffer.concat(parts.filter((part) => part !== null).map(contentOf));
      };
      // What senders send is in the log as it came, because workers judge it.
      const sent = await contentOfTopic("in");
      for (const secret of Object.values(secrets)) expect(sent.includes(secret)).toBe(true);
      for (const kind of ["out", "anomalies", "statistics", "state"] as const) {
        const content = await contentOfTopic(kind);
        expect(content.length, kind).toBeGreaterThan(0);
        expectNoSecret(`the topic ${kind}`, content);
        if (kind !== "statistics") expect(content.includes("[email"), kind).toBe(true);
      }
      for (const [name, bytes] of await tablesOf(postgres, database)) {
        expectNoSecret(`the table ${name}`, bytes);
      }
    });
  });
});
