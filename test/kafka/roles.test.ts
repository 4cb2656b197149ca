/** Router, workers and forwarders as processes: what senders had answered arrives downstream, each record as it was judged. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { decodeReport } from "../../src/anomaly/report.ts";
import { State } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { Router } from "../../src/kafka/router.ts";
import { logsRequest, normalLine, random, strangeLine } from "../engine/requests.ts";
import { type Downstream, startDownstream } from "../forward/downstream.ts";
import { Postgres, skipPostgres } from "../store/postgres.ts";
import { Broker, skipKafka } from "./broker.ts";
import { Installation } from "./installation.ts";

const log = { info: () => {}, warn: () => {} };
const skip = skipKafka || skipPostgres;

let broker: Broker;
let postgres: Postgres;
let installation: Installation | undefined;
let downstream: Downstream | undefined;
beforeAll(async () => {
  if (skip) return;
  [broker, postgres] = await Promise.all([Broker.start(), Postgres.start()]);
}, 180_000);
afterEach(async () => {
  await installation?.remove();
  await downstream?.close();
});
afterAll(async () => {
  await broker?.remove();
  await postgres?.remove();
});

const post = (port: number, body: Buffer) =>
  fetch(`http://127.0.0.1:${port}/v1/logs`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body: new Uint8Array(body),
  });

describe.skipIf(skip)("roles", () => {
  test("apart: what the router has accepted is judged by workers and delivered by forwarders", async () => {
    let refusals = 2;
    downstream = await startDownstream("grpc", () => (refusals-- > 0 ? { status: 14 } : {}));
    const url = postgres.url(await postgres.createDatabase());
    installation = await Installation.create(broker, {
      store: { url },
      receive: { grpc: { enabled: false }, http: { endpoint: "127.0.0.1:0" } },
      forward: { endpoint: downstream.endpoint, retry: { initial_interval: "50ms" } },
    });
    const router = installation.start("router");
    const port = Number((await router.says(/"http":"127.0.0.1:(\d+)"/))[1]);
    const worker = installation.start("worker");
    const forward = installation.start("forward");

    const next = random(3);
    const sent: string[] = [];
    for (let i = 0; i < 20; i += 1) {
      const lines = ["a", "b", "c", "d", "e"].map((service) => normalLine(next, service));
      sent.push(...lines.map(({ body }) => body));
      expect((await post(port, logsRequest(lines))).status).toBe(200);
    }
    expect((await post(port, Buffer.from("no request"))).status).toBe(400);
    const arrived = () => Buffer.concat(downstream!.received.map(({ body }) => body)).toString("latin1");
    await expect
      .poll(() => sent.filter((body) => !arrived().includes(body)), { timeout: 60_000 })
      .toEqual([]);

    for (const process of [forward, worker, router]) expect(await process.kill("SIGTERM")).toBe(0);
    const before = downstream.received.length;
    const again = installation.start("forward");
    await again.says(/working with other processes/);
    // What was delivered before is not delivered again after an orderly end.
    expect(await again.kill("SIGTERM")).toBe(0);
    expect(downstream.received.length).toBe(before);
  }, 120_000);

  test("a sink that is killed stores each anomaly once, and each record in the statistics once", async () => {
    const database = await postgres.createDatabase();
    installation = await Installation.create(
      broker,
      { store: { url: postgres.url(database) }, detect: { baseline: { records: 128 } } },
      { checkpoint_interval: "1s" },
    );
    const router = new Router({ kafka: installation.kafka, config: installation.config, log });
    const next = random(5);
    const services = ["a", "b", "c", "d", "e", "f"];
    let sent = 0;
    let second = 1_790_000_000n;
    const send = async (rounds: number, strange: boolean) => {
      for (let i = 0; i < rounds; i += 1) {
        second += 5n;
        const lines = services
          .flatMap((service) => [
            ...Array.from({ length: 20 }, () => normalLine(next, service)),
            ...(strange ? Array.from({ length: 6 }, () => strangeLine(service)) : []),
          ])
          .map((line, n) => ({ ...line, time: second * 1_000_000_000n + BigInt(n) }));
        sent += lines.length;
        await router.take({ signal: "logs", tenant: "acme", body: logsRequest(lines) });
      }
    };
    const worker = installation.start("worker");
    let sink = installation.start("sink");
    await send(15, false);
    await send(2, true);
    await installation.judged();
    await sink.kill();
    sink = installation.start("sink");
    await send(2, true);
    await send(4, false);
    // An orderly end reports what has been counted since the last time.
    expect(await worker.kill("SIGTERM")).toBe(0);
    const again = installation.start("worker");
    await installation.judged();
    expect(await again.kill("SIGTERM")).toBe(0);
    await router.close();

    const query = async (sql: string) => (await postgres.query(database, sql))[0]!.n;
    await expect
      .poll(() => query("select coalesce(sum(records), 0)::int as n from streams"), { timeout: 60_000 })
      .toBe(sent);
    const found = await installation.read("anomalies");
    const ids = (kind: string) =>
      new Set(found.filter(({ headers }) => headers.get("kind") === kind).map(({ key }) => key.toString()));
    expect(ids("anomaly").size).toBeGreaterThan(3);
    await expect
      .poll(() => query("select count(*)::int as n from anomalies"), { timeout: 60_000 })
      .toBe(ids("anomaly").size);
    await sink.kill();
    // Whoever comes next changes nothing of it.
    const before = await query("select sum(records)::int as n from streams");
    const last = installation.start("sink");
    await last.says(/working with other processes/);
    expect(await last.kill("SIGTERM")).toBe(0);
    expect(await query("select sum(records)::int as n from streams")).toBe(before);
    expect(await query("select count(*)::int as n from anomalies")).toBe(ids("anomaly").size);
  }, 120_000);

  test("a sink sends anomalies that no record shows downstream, as one process does", async () => {
    downstream = await startDownstream("grpc");
    installation = await Installation.create(broker, {
      store: { url: postgres.url(await postgres.createDatabase()) },
      detect: { baseline: { records: 128 } },
      forward: { endpoint: downstream.endpoint },
    });
    const router = new Router({ kafka: installation.kafka, config: installation.config, log });
    installation.start("worker,sink");
    const next = random(5);
    const start = 1_790_000_000n;
    for (let round = 0; round < 80; round += 1) {
      const count = round === 70 ? 4_000 : 20;
      const time = (start + BigInt(5 * round)) * 1_000_000_000n;
      const lines = Array.from({ length: count }, (_, n) => ({
        ...normalLine(next),
        time: time + BigInt(n),
      }));
      await router.take({ signal: "logs", tenant: "acme", body: logsRequest(lines) });
    }
    await installation.judged();
    await installation.stored("anomalies");
    await router.close();
    const found = (await installation.read("anomalies"))
      .filter(({ headers }) => headers.get("kind") === "anomaly")
      .map(({ value }) => decodeReport(value!).message);
    const shown = found.filter(({ record, state }) => record === undefined && state !== State.ENDED);
    expect(shown.length).toBeGreaterThan(0);
    const arrived = () => Buffer.concat(downstream!.received.map(({ body }) => body)).toString("latin1");
    await expect.poll(arrived, { timeout: 60_000 }).toContain("driftlock.anomaly");
    for (const { id } of shown) await expect.poll(arrived).toContain(id);
  }, 120_000);

  test("what may be spent is spent once, whoever finds anomalies and whoever stores them", async () => {
    const database = await postgres.createDatabase();
    installation = await Installation.create(broker, {
      store: { url: postgres.url(database) },
      detect: { baseline: { records: 128 }, budget: { per_process_per_day: 8 } },
    });
    const router = new Router({ kafka: installation.kafka, config: installation.config, log });
    const [first] = [installation.start("worker,sink"), installation.start("worker,sink")];
    const next = random(5);
    const services = Array.from({ length: 12 }, (_, i) => `service-${i}`);
    const send = async (rounds: number, strange: readonly string[]) => {
      for (let round = 0; round < rounds; round += 1) {
        const lines = services.flatMap((service) => [
          ...Array.from({ length: 20 }, () => normalLine(next, service)),
          ...(strange.includes(service) ? [strangeLine(service)] : []),
        ]);
        await router.take({ signal: "logs", tenant: "acme", body: logsRequest(lines) });
      }
      await installation!.judged();
      await installation!.stored("anomalies");
    };
    const count = async () =>
      (await postgres.query(database, "select count(*)::int as n from anomalies"))[0]!.n;
    await send(9, []);
    await send(1, services.slice(0, 3));
    await expect.poll(count).toBe(3);
    await first!.kill();
    await send(1, services.slice(3));
    await router.close();
    const found = await installation.read("anomalies");
    const ids = found.flatMap(({ headers, key }) =>
      headers.get("kind") === "anomaly" ? [key.toString()] : [],
    );
    expect(new Set(ids).size).toBeGreaterThan(8);
    // These anomalies are not rare, for which the other half is reserved.
    await expect.poll(count).toBe(4);
  }, 120_000);

  test("what a person decides at the API reaches whichever worker has the stream", async () => {
    const url = postgres.url(await postgres.createDatabase());
    installation = await Installation.create(broker, {
      store: { url },
      receive: { grpc: { enabled: false }, http: { endpoint: "127.0.0.1:0" } },
      api: { endpoint: "127.0.0.1:0" },
      detect: { baseline: { records: 128 } },
    });
    const front = installation.start("router,sink,api");
    const worker = installation.start("worker");
    const port = Number((await front.says(/"http":"127.0.0.1:(\d+)"/))[1]);
    const api = `http://127.0.0.1:${(await front.says(/"api":"127.0.0.1:(\d+)"/))[1]}/v1`;
    const next = random(5);
    for (let round = 0; round < 18; round += 1) {
      const lines = Array.from({ length: 20 }, () => normalLine(next));
      if (round > 15) lines.push(strangeLine());
      expect((await post(port, logsRequest(lines))).status).toBe(200);
    }
    const list = async () => {
      const answer = await fetch(`${api}/anomalies`);
      return ((await answer.json()) as { items: { id: string }[] }).items;
    };
    await expect.poll(async () => (await list()).length, { timeout: 60_000 }).toBeGreaterThan(0);
    const [{ id }] = (await list()) as [{ id: string }];
    const decided = await fetch(`${api}/anomalies/${id}`, {
      method: "PATCH",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ state: "accepted" }),
    });
    expect(decided.status).toBe(200);
    const ended = async () =>
      (await installation!.read("anomalies"))
        .filter(({ key, value }) => key.toString() === id && value !== null)
        .some(({ value }) => decodeReport(value!).message.state === State.ENDED);
    await expect.poll(ended, { timeout: 60_000 }).toBe(true);
    for (const process of [worker, front]) expect(await process.kill("SIGTERM")).toBe(0);
  }, 120_000);

  test("need what one process alone can do without", async () => {
    installation = await Installation.create(broker, {});
    const router = installation.start("router");
    expect(await router.ended).toBe(1);
    expect(router.said).toContain("store.url: processes that work together share a PostgreSQL database");
    const unknown = installation.start("worker,cook");
    expect(await unknown.ended).toBe(2);
    expect(unknown.said).toContain("--roles must name some of router, worker, forward, sink, api, has cook");
  }, 60_000);
});
