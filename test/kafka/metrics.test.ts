/** Each process of an installation shows its own part: metrics, health and readiness, without the API. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { topicName } from "../../src/kafka/topics.ts";
import { logsRequest, normalLine, random, strangeLine } from "../engine/requests.ts";
import { type Downstream, startDownstream } from "../forward/downstream.ts";
import { Postgres, skipPostgres } from "../store/postgres.ts";
import { Broker, skipKafka } from "./broker.ts";
import { Installation, type Role } from "./installation.ts";

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

/** What a process shows at health.endpoint. */
class Shown {
  readonly #url: string;

  private constructor(address: string) {
    this.#url = `http://${address}`;
  }

  static async of(role: Role): Promise<Shown> {
    return new Shown((await role.says(/"health":"(127.0.0.1:\d+)"/))[1]!);
  }

  /** Series by name and labels. */
  async metrics(): Promise<Map<string, number>> {
    const answer = await fetch(`${this.#url}/metrics`);
    expect(answer.status).toBe(200);
    const lines = (await answer.text()).split("\n").filter((line) => line.startsWith("driftlock_"));
    return new Map(
      lines.map((line) => {
        const at = line.lastIndexOf(" ");
        return [line.slice("driftlock_".length, at), Number(line.slice(at))];
      }),
    );
  }

  async metric(name: string): Promise<number | undefined> {
    return (await this.metrics()).get(name);
  }

  becomes(name: string) {
    return expect.poll(() => this.metric(name), { timeout: 60_000 });
  }

  async ready(): Promise<{ status: number; components: Record<string, boolean> }> {
    const answer = await fetch(`${this.#url}/readyz`);
    const { components } = (await answer.json()) as { components: { name: string; ready: boolean }[] };
    return {
      status: answer.status,
      components: Object.fromEntries(components.map(({ name, ready }) => [name, ready])),
    };
  }
}

const post = (port: number, body: Buffer) =>
  fetch(`http://127.0.0.1:${port}/v1/logs`, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body: new Uint8Array(body),
  });

const services = ["a", "b", "c", "d"];

describe.skipIf(skip)("every role", () => {
  test("counts what it does, and tells what it depends on", async () => {
    let refusals = 1;
    downstream = await startDownstream("grpc", () => (refusals-- > 0 ? { status: 3 } : {}));
    const url = postgres.url(await postgres.createDatabase());
    installation = await Installation.create(
      broker,
      {
        store: { url },
        health: { endpoint: "127.0.0.1:0" },
        receive: { grpc: { enabled: false }, http: { endpoint: "127.0.0.1:0" } },
        forward: { endpoint: downstream.endpoint },
        detect: { baseline: { records: 128 }, budget: { per_process_per_day: 2 } },
      },
      { checkpoint_interval: "1s" },
    );
    const router = installation.start("router");
    const worker = installation.start("worker");
    const forward = installation.start("forward");
    const sink = installation.start("sink");
    const shown = {
      router: await Shown.of(router),
      worker: await Shown.of(worker),
      forward: await Shown.of(forward),
      sink: await Shown.of(sink),
    };
    await shown.worker.becomes('kafka_partitions{topic="in"}').toBe(4);
    const port = Number((await router.says(/"http":"127.0.0.1:(\d+)"/))[1]);

    const next = random(5);
    let sent = 0;
    const send = async (rounds: number, strange: boolean) => {
      for (let round = 0; round < rounds; round += 1) {
        const lines = services.flatMap((service) => [
          ...Array.from({ length: 20 }, () => normalLine(next, service)),
          ...(strange ? [strangeLine(service)] : []),
        ]);
        sent += lines.length;
        expect((await post(port, logsRequest(lines))).status).toBe(200);
      }
    };
    await send(10, false);
    await send(2, true);
    // No router writes this.
    const producer = installation.kafka.producer();
    const headers = { signal: "logs", tenant: "acme" };
    const broken = { partition: 1, key: Buffer.alloc(0), value: Buffer.from("no request"), headers };
    await producer.write([{ ...broken, topic: topicName(installation.config.kafka, "in") }]);
    await producer.close();

    await shown.worker.becomes('kafka_skipped_records_total{topic="in"}').toBe(1);
    await shown.worker.becomes('receiver_records_total{signal="logs"}').toBe(sent);
    await shown.worker.becomes('kafka_lag_records{topic="in"}').toBe(0);
    await shown.forward.becomes('kafka_lag_records{topic="out"}').toBe(0);
    await installation.stored("anomalies");

    const of = {
      router: await shown.router.metrics(),
      worker: await shown.worker.metrics(),
      forward: await shown.forward.metrics(),
      sink: await shown.sink.metrics(),
    };
    expect(of.router.get('receiver_requests_total{signal="logs",transport="http",code="OK"}')).toBe(12);
    const requests = of.router.get('kafka_produced_records_total{topic="in"}')!;
    expect(requests).toBeGreaterThanOrEqual(12);
    expect(of.router.get("store_up")).toBe(1);
    expect(of.router.get("streams")).toBeUndefined();

    expect(of.worker.get('kafka_consumed_records_total{topic="in"}')).toBe(requests + 1);
    expect(of.worker.get("kafka_takeover_seconds_count")).toBe(4);
    expect(of.worker.get("streams")).toBe(services.length);
    expect(of.worker.get('flagged_records_total{signal="logs"}')).toBe(2 * services.length);
    expect(of.worker.get('withheld_alarms_total{reason="stream"}')).toBe(0);
    expect(of.worker.get('engine_duration_seconds_count{signal="logs"}')).toBe(requests);
    expect(of.worker.get('kafka_produced_records_total{topic="out"}')).toBe(requests);
    for (const topic of ["anomalies", "state"])
      expect(of.worker.get(`kafka_produced_records_total{topic="${topic}"}`)).toBeGreaterThan(0);
    expect(of.worker.get("receiver_inflight_requests")).toBeUndefined();

    expect(of.forward.get('kafka_consumed_records_total{topic="out"}')).toBe(requests);
    expect(of.forward.get('kafka_skipped_records_total{topic="out"}')).toBe(1);
    expect(of.forward.get("downstream_up")).toBe(1);

    const found = of.worker.get('kafka_produced_records_total{topic="anomalies"}')!;
    expect(of.sink.get('kafka_consumed_records_total{topic="anomalies"}')).toBe(found);
    const ids = new Set(
      (await installation.read("anomalies")).flatMap(({ headers, key }) =>
        headers.get("kind") === "anomaly" ? [key.toString()] : [],
      ),
    );
    const withheld = of.sink.get('withheld_alarms_total{reason="installation"}')!;
    expect(withheld).toBeGreaterThan(0);
    const stored = Number(
      (await postgres.query(new URL(url).pathname.slice(1), "select count(*)::int as n from anomalies"))[0]!
        .n,
    );
    expect(stored + withheld).toBe(ids.size);

    expect(await shown.router.ready()).toEqual({
      status: 200,
      components: { roles: true, brokers: true, store: true },
    });
    expect(await shown.sink.ready()).toEqual({
      status: 200,
      components: { roles: true, store: true, "topic anomalies": true, "topic statistics": true },
    });

    // Another worker takes over, and what it judges again counts as that alone.
    await worker.kill("SIGSTOP");
    const heir = installation.start("worker");
    const heirShown = await Shown.of(heir);
    await heirShown.becomes('kafka_partitions{topic="in"}').toBe(4);
    await send(1, false);
    await heirShown
      .becomes('receiver_records_total{signal="logs"}')
      .toBe(21 * services.length - services.length);
    expect(await heirShown.metric("kafka_takeover_seconds_count")).toBeGreaterThanOrEqual(4);
    await worker.kill("SIGCONT");
    await heir.kill("SIGTERM");
    await send(1, false);
    await shown.worker.becomes('receiver_records_total{signal="logs"}').toBe(sent - 20 * services.length);
    await shown.worker.becomes("kafka_takeover_seconds_count").toBeGreaterThanOrEqual(8);

    await broker.kill();
    expect((await post(port, logsRequest([normalLine(next)]))).status).toBe(503);
    expect(await shown.router.ready()).toMatchObject({ status: 503, components: { brokers: false } });
    await broker.resume();
    await expect
      .poll(async () => (await post(port, logsRequest([normalLine(next)]))).status, { timeout: 60_000 })
      .toBe(200);
    expect(await shown.router.ready()).toMatchObject({ status: 200, components: { brokers: true } });
    for (const process of [worker, forward, sink, router]) expect(await process.kill("SIGTERM")).toBe(0);
  }, 180_000);

  test("is in one set of metrics and probes with the API, if a process has several", async () => {
    const url = postgres.url(await postgres.createDatabase());
    installation = await Installation.create(broker, {
      store: { url },
      health: { endpoint: "127.0.0.1:0" },
      receive: { grpc: { enabled: false }, http: { endpoint: "127.0.0.1:0" } },
      api: { endpoint: "127.0.0.1:0" },
    });
    const all = installation.start("router,worker,forward,sink,api");
    const shown = await Shown.of(all);
    const port = Number((await all.says(/"http":"127.0.0.1:(\d+)"/))[1]);
    expect((await post(port, logsRequest([{ body: "hello", service: "a" }]))).status).toBe(200);
    await shown.becomes('receiver_records_total{signal="logs"}').toBe(1);
    expect(await shown.metric("streams")).toBe(1);
    expect(await shown.metric("store_up")).toBe(1);
    expect((await shown.ready()).components).toMatchObject({
      store: true,
      brokers: true,
      "topic in": true,
      "topic out": true,
      "topic anomalies": true,
      "topic statistics": true,
    });
    expect(await all.kill("SIGTERM")).toBe(0);
  }, 60_000);
});
