/** Topics that Collectors fill: what is in them reaches the log, whatever happens to the router that receives them. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type LogRecord, latest } from "../../src/kafka/client.ts";
import { groupName } from "../../src/kafka/topics.ts";
import { logsRequest } from "../engine/requests.ts";
import { Postgres, skipPostgres } from "../store/postgres.ts";
import { Broker, skipKafka } from "./broker.ts";
import { Installation } from "./installation.ts";

const skip = skipKafka || skipPostgres;

let broker: Broker;
let postgres: Postgres;
let installation: Installation | undefined;
beforeAll(async () => {
  if (skip) return;
  [broker, postgres] = await Promise.all([Broker.start(), Postgres.start()]);
}, 180_000);
afterEach(() => installation?.remove());
afterAll(async () => {
  await broker?.remove();
  await postgres?.remove();
});

const receive = { grpc: { enabled: false }, http: { endpoint: "127.0.0.1:0" } };
const topics = [
  { topic: "otlp_logs", signal: "logs", tenant: "acme" },
  { topic: "otlp_logs_json", signal: "logs", encoding: "otlp_json", tenant: "acme" },
];

const proto = (n: number) => logsRequest([{ body: `number ${n} of all`, service: `service-${n % 7}` }]);

function json(n: number, records = 1, service = `service-${n % 7}`): Buffer {
  const attributes = [{ key: "service.name", value: { stringValue: service } }];
  const record = { timeUnixNano: "1790000000000000000", body: { stringValue: `number ${n} of all` } };
  const logRecords = Array.from({ length: records }, () => record);
  return Buffer.from(
    JSON.stringify({ resourceLogs: [{ resource: { attributes }, scopeLogs: [{ logRecords }] }] }),
  );
}

const numbersOf = (records: readonly LogRecord[]) =>
  records.flatMap(({ value }) =>
    [...value!.toString("latin1").matchAll(/number (\d+) of all/g)].map(([, n]) => Number(n)),
  );

describe.skipIf(skip)("topics of others", () => {
  test("are received once the log has their messages, with keys or without, as protobuf and as JSON", async () => {
    const url = postgres.url(await postgres.createDatabase());
    installation = await Installation.create(broker, {
      store: { url },
      receive: { ...receive, kafka: { topics } },
    });
    const { kafka, config } = installation;
    const admin = kafka.admin();
    for (const { topic } of topics) await admin.create(topic, 3, 1, new Map());
    const producer = kafka.producer();
    const write = (topic: string, numbers: readonly number[], body: (n: number) => Buffer) =>
      producer.write(
        numbers.map((n) => ({
          topic,
          partition: n % 3,
          key: Buffer.from(n % 2 === 0 ? `trace-${n}` : ""),
          value: body(n),
        })),
      );
    const range = (from: number) => Array.from({ length: 200 }, (_, i) => from + i);
    const received = async () => new Set(numbersOf(await installation!.read("in")));

    // They were there before the first router.
    await write("otlp_logs", range(0), proto);
    await write("otlp_logs_json", range(1_000), json);
    let router = installation.start("router");
    await router.says(/working with other processes/);
    await expect.poll(async () => (await received()).size, { timeout: 60_000 }).toBe(400);
    await write("otlp_logs", [1], () => Buffer.from("no request"));
    await write("otlp_logs_json", [1], () => Buffer.from('{"resourceLogs": 7}'));
    await write("otlp_logs", range(2_000), proto);
    await router.kill();
    router = installation.start("router");
    await write("otlp_logs_json", range(3_000), json);
    await expect.poll(async () => (await received()).size, { timeout: 60_000 }).toBe(800);
    await router.says(/"topic":"otlp_logs","partition":1,.*not a valid request of logs/);
    await router.says(/"topic":"otlp_logs_json","partition":1,.*resourceLogs/);
    expect(await router.kill("SIGTERM")).toBe(0);

    // What the group has is the end of each topic, so that nobody receives anything again.
    for (const { topic } of topics) {
      const [reader, group] = [
        kafka.reader(topic),
        kafka.member(groupName(config.kafka, `receive-${topic}`), topic),
      ];
      expect(await group.committed([0, 1, 2])).toEqual(await reader.offsets([0, 1, 2], latest));
      await reader.close();
      await group.close();
    }
    const log = (await installation.read("in")).filter(({ headers }) => headers.get("kind") === undefined);
    expect(new Set(log.map(({ headers }) => `${headers.get("signal")} ${headers.get("tenant")}`))).toEqual(
      new Set(["logs acme"]),
    );
    // A service has one owner, whatever the topics' own partitions.
    const owners = new Map(numbersOf(log).map((n) => [n % 7, new Set<number>()]));
    for (const record of log) for (const n of numbersOf([record])) owners.get(n % 7)!.add(record.partition);
    expect([...owners.values()].map(({ size }) => size)).toEqual(Array.from({ length: 7 }, () => 1));
    await producer.close();
    await admin.close();
  }, 120_000);

  test("keep the order of each of their partitions, however long it takes to read a message", async () => {
    const url = postgres.url(await postgres.createDatabase());
    const ordered = topics.map((each) => ({ ...each, topic: `ordered_${each.topic}` }));
    installation = await Installation.create(broker, {
      store: { url },
      receive: { ...receive, kafka: { topics: ordered } },
    });
    const admin = installation.kafka.admin();
    for (const { topic } of ordered) await admin.create(topic, 1, 1, new Map());
    await admin.close();
    const producer = installation.kafka.producer();
    // Every other one is a hundred times larger than the others.
    const fill = (n: number) => (n % 2 === 0 ? 300 : 3);
    const bodies = [
      (n: number) =>
        logsRequest(
          Array.from({ length: fill(n) }, () => ({ body: `number ${n} of all`, service: "of-proto" })),
        ),
      (n: number) => json(n, fill(n), "of-json"),
    ];
    for (const [i, { topic }] of ordered.entries()) {
      const all = Array.from({ length: 200 }, (_, n) => bodies[i]!(n));
      await producer.write(all.map((value) => ({ topic, partition: 0, key: Buffer.alloc(0), value })));
    }
    await producer.close();
    const router = installation.start("router");
    const inOrder = async (service: string) => {
      const log = (await installation!.read("in")).filter(({ value }) =>
        value!.includes(service, 0, "latin1"),
      );
      return [...new Set(numbersOf(log))];
    };
    const expected = Array.from({ length: 200 }, (_, n) => n);
    for (const name of ["of-proto", "of-json"]) {
      await expect.poll(async () => (await inOrder(name)).length, { timeout: 60_000 }).toBe(200);
      expect(await inOrder(name)).toEqual(expected);
    }
    expect(await router.kill("SIGTERM")).toBe(0);
  }, 120_000);

  test("that do not exist are named with their place in the configuration", async () => {
    const url = postgres.url(await postgres.createDatabase());
    const missing = { topic: "otlp_nothing", signal: "traces" };
    installation = await Installation.create(broker, {
      store: { url },
      receive: { ...receive, kafka: { topics: [missing] } },
    });
    const router = installation.start("router");
    expect(await router.ended).toBe(1);
    expect(router.said).toContain("receive.kafka.topics[0].topic: the topic otlp_nothing does not exist");
  }, 60_000);
});
