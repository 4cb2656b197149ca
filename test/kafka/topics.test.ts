import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dispatch } from "../../src/cli/commands.ts";
import { Kafka } from "../../src/kafka/client.ts";
import { progressRecord, readState } from "../../src/kafka/state.ts";
import { groupName, topicFaults, topicName } from "../../src/kafka/topics.ts";
import { Broker, skipKafka } from "./broker.ts";

let broker: Broker;
beforeAll(async () => {
  if (!skipKafka) broker = await Broker.start();
}, 180_000);
afterAll(() => broker?.remove());

async function driftlock(...args: string[]) {
  let out = "";
  let err = "";
  const code = await dispatch(args, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    env: {},
  });
  return { code, out, err };
}

describe.skipIf(skipKafka)("topics", () => {
  const options = (prefix: string, partitions = 2) => [
    "--kafka.brokers",
    `127.0.0.1:${broker.port}`,
    "--kafka.topic_prefix",
    prefix,
    "--kafka.partitions",
    String(partitions),
    "--kafka.replication",
    "1",
  ];

  test("init creates what is missing, once, and status and validate find them", async () => {
    const missing = await driftlock("validate", "--topics", ...options("init."));
    expect(missing).toMatchObject({ code: 1 });
    expect(missing.err).toContain("the topic init.in does not exist; create it with `driftlock kafka init`");

    const made = await driftlock("kafka", "init", ...options("init."));
    expect(made).toMatchObject({ code: 0, err: "" });
    expect(made.out.trim().split("\n")).toEqual([
      "created init.in",
      "created init.out",
      "created init.anomalies",
      "created init.statistics",
      "created init.state",
    ]);
    const again = await driftlock("kafka", "init", ...options("init."));
    expect(again.out).toBe("the topics are as they should be\n");
    expect(await driftlock("validate", "--topics", ...options("init."))).toMatchObject({
      code: 0,
      out: "OK\n",
    });
    const status = await driftlock("kafka", "status", ...options("init."));
    expect(status.out).toBe(
      "workers: 0\n  partition 0: judged to none, 0 behind, no checkpoint\n  partition 1: judged to none, 0 behind, no checkpoint\n",
    );
  });

  test("settings that differ are named and set, and another number of partitions is refused", async () => {
    await driftlock("kafka", "init", ...options("set."));
    const { kafka: config } = broker.config({ topic_prefix: "set.", partitions: 2 });
    const admin = (await Kafka.load(config)).admin();
    await admin.set("set.state", new Map([["cleanup.policy", "delete"]]));
    await expect.poll(() => topicFaults(admin, config)).toHaveLength(1);
    await admin.close();
    const checked = await driftlock("validate", "--topics", ...options("set."));
    expect(checked.err).toContain(
      "the topic set.state differ: cleanup.policy is delete and should be compact",
    );
    const set = await driftlock("kafka", "init", ...options("set."));
    expect(set.out).toBe("set cleanup.policy of set.state\n");

    const other = await driftlock("kafka", "init", ...options("set.", 3));
    expect(other.code).toBe(1);
    expect(other.err).toContain("the topic set.in has 2 partitions and kafka.partitions is 3");
  });

  test("brokers that do not answer are named", async () => {
    const { code, err } = await driftlock("kafka", "status", "--kafka.brokers", "127.0.0.1:1");
    expect(code).toBe(1);
    expect(err).toContain("kafka.brokers 127.0.0.1:1: ");
    expect(await driftlock("kafka", "status")).toMatchObject({ code: 2 });
  });

  test("reset-state lets each partition learn again from where it is", async () => {
    await driftlock("kafka", "init", ...options("reset."));
    const { kafka: config } = broker.config({ topic_prefix: "reset.", partitions: 2 });
    const kafka = await Kafka.load(config);
    const place = { topic: topicName(config, "state"), partition: 1 };
    const worker = kafka.transactor(`${groupName(config, "worker")}-1`);
    const learned = { ...place, key: Buffer.from("s1"), value: Buffer.alloc(1000) };
    await worker.commit([learned, progressRecord(place, { offset: 7n, toldAt: 5n })]);

    expect(await driftlock("kafka", "reset-state", ...options("reset."))).toMatchObject({ code: 2 });
    const before = await readState(kafka, place, learned);
    expect(before).toMatchObject({ learned: [{ key: Buffer.from("s1") }] });
    const reset = await driftlock("kafka", "reset-state", "--yes", ...options("reset."));
    expect(reset).toMatchObject({ code: 0, out: "2 partitions learn again\n" });
    // What was committed becomes visible a little later.
    await expect
      .poll(() => readState(kafka, place), { timeout: 30_000 })
      .toEqual({ progress: { offset: 7n, toldAt: 7n }, checkpoint: undefined, learned: [] });
    const error = await worker.commit([learned]).catch((each) => each);
    expect(worker.isFenced(error)).toBe(true);
    await worker.close();
  }, 60_000);
});
