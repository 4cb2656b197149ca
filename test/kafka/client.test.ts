/** What the client library does against expectation, and this room's remedies, on a real broker. */
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { batchBytes, earliest, Kafka, latest, type NewRecord, reasonOf } from "../../src/kafka/client.ts";
import { createTopics, topicName } from "../../src/kafka/topics.ts";
import { Broker, skipKafka } from "./broker.ts";

let broker: Broker;
beforeAll(async () => {
  if (!skipKafka) broker = await Broker.start({ secure: true });
}, 180_000);
afterAll(() => broker?.remove());

async function connect(settings: object = {}) {
  const { kafka: config } = broker.config({ partitions: 3, ...settings });
  const kafka = await Kafka.load(config);
  const admin = kafka.admin();
  await createTopics(admin, config).finally(() => admin.close());
  const topic = topicName(config, "out");
  const record = (text: string, partition = 0): NewRecord => ({
    topic,
    partition,
    key: Buffer.from("key"),
    value: Buffer.from(text),
    headers: { name: text.slice(0, 20) },
  });
  /** Returns what is committed in a partition, in which the latest commit becomes visible a little later. */
  const read = async (partition = 0, bytes = 2 ** 20) => {
    const reader = kafka.reader(topic);
    try {
      const texts: string[] = [];
      const end = (await reader.offsets([partition], latest)).get(partition)!;
      for (let at = (await reader.offsets([partition], earliest)).get(partition)!; at < end; ) {
        const fetched = await reader.fetch(new Map([[partition, at]]), { waitMs: 500, bytes });
        const { records, next } = fetched.get(partition)!;
        texts.push(...records.map(({ value }) => value!.toString()));
        at = next;
      }
      return texts;
    } finally {
      await reader.close();
    }
  };
  return { kafka, config, record, read };
}

describe.skipIf(skipKafka)("a transactor", () => {
  test("begins again under its id at each restart", async () => {
    const { kafka, record, read } = await connect();
    for (const text of ["one", "two", "three"]) {
      const transactor = kafka.transactor("restarted");
      await transactor.commit([record(text)]);
      await transactor.commit([record(`${text} again`)]);
      await transactor.close();
    }
    await expect.poll(() => read()).toEqual(["one", "one again", "two", "two again", "three", "three again"]);
  });

  test("fences the former one, whose transaction is never seen", async () => {
    const { kafka, record, read } = await connect();
    const former = kafka.transactor("fenced");
    await former.commit([record("first")]);
    let successor: ReturnType<Kafka["transactor"]> | undefined;
    // It is in the middle of a transaction when its successor begins.
    async function* pieces() {
      yield [record("lost")];
      successor = kafka.transactor("fenced");
      await successor.commit([record("second")]);
      yield [record("lost as well")];
    }
    const error = await former.commit(pieces()).catch((each) => each);
    expect(former.isFenced(error)).toBe(true);
    const later = await former.commit([record("late")]).catch((each) => each);
    expect(later).toBeInstanceOf(Error);
    await successor!.commit([record("third")]);
    // At once, and batch by batch, so that no transaction comes with its end.
    for (const bytes of [2 ** 20, 1])
      await expect.poll(() => read(0, bytes)).toEqual(["first", "second", "third"]);
    await former.close();
    await successor!.close();
  });

  test("writes more than brokers take at once, to several partitions, as one transaction", async () => {
    const { kafka, record, read } = await connect();
    const transactor = kafka.transactor("large");
    const texts = Array.from({ length: 9 }, (_, i) => String(i).repeat(batchBytes / 3));
    await transactor.commit(texts.map((text, i) => record(text, i % 3)));
    for (const partition of [0, 1, 2]) {
      await expect.poll(() => read(partition)).toEqual(texts.filter((_, i) => i % 3 === partition));
    }
    // A single record may be larger than a batch.
    await transactor.commit([record("x".repeat(5 * batchBytes))]);
    await expect.poll(async () => (await read()).at(-1)?.length).toBe(5 * batchBytes);
    await transactor.close();
  });

  test("commits hundreds of transactions per second, not one per retry of the library", async () => {
    const { kafka, record, read } = await connect();
    const transactor = kafka.transactor("quick");
    for (let i = 0; i < 200; i += 1) await transactor.commit([record(String(i))]);
    await expect.poll(() => read()).toHaveLength(200);
    await transactor.close();
  });
});

describe.skipIf(skipKafka)("members of a group", () => {
  test("share the partitions, keep offsets, and outlive a broker that is away", async () => {
    // A member that has gone without leaving would keep its partitions for longer than the test waits.
    const { kafka, config } = await connect({ session_timeout: "90s" });
    const topic = topicName(config, "in");
    const held = new Map<string, ReadonlySet<number>>();
    const join = (name: string) => {
      const member = kafka.member("shared", topic);
      member.onAssigned = (partitions) => held.set(name, partitions);
      member.join();
      return member;
    };
    const one = join("one");
    await expect.poll(() => held.get("one")?.size).toBe(3);
    const two = join("two");
    await expect.poll(() => [held.get("one")!.size, held.get("two")?.size].sort()).toEqual([1, 2]);
    expect([...held.get("one")!, ...held.get("two")!].sort()).toEqual([0, 1, 2]);

    const [partition] = held.get("one")!;
    await one.commit(new Map([[partition!, 7n]]));
    // An answer just after the commit may still be the former one.
    await expect.poll(async () => (await one.committed([partition!])).get(partition!)).toBe(7n);

    await broker.kill();
    await broker.resume();
    await two.close();
    await expect.poll(() => held.get("one")!.size, { timeout: 60_000 }).toBe(3);
    await one.close();
  }, 120_000);
});

describe.skipIf(skipKafka)("connections", () => {
  const brokers = (offset: number) => [`127.0.0.1:${broker.port + offset}`];

  test.each(["PLAIN", "SCRAM-SHA-512"])("authenticate by %s", async (mechanism) => {
    const sasl = { mechanism, username: "drift", password: "secret" };
    const { kafka, record, read } = await connect({ brokers: brokers(2), sasl });
    const producer = kafka.producer();
    await producer.write([record("authenticated")]);
    await expect.poll(() => read()).toEqual(["authenticated"]);
    await producer.close();
    const wrong = connect({ brokers: brokers(2), sasl: { ...sasl, password: "wrong" } });
    expect(reasonOf(await wrong.catch((error) => error))).toMatch(/authentication failed/i);
  });

  test("authenticate by OAUTHBEARER, with the token that the file has when they begin", async () => {
    const token_file = `${broker.folder}/token`;
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const now = Math.floor(Date.now() / 1_000);
    const put = (exp: number) =>
      writeFileSync(token_file, `${part({ alg: "none" })}.${part({ sub: "drift", iat: now - 60, exp })}.\n`);
    const sasl = { mechanism: "OAUTHBEARER", token_file };
    put(now - 30);
    const expired = connect({ brokers: brokers(2), sasl });
    expect(reasonOf(await expired.catch((error) => error))).toMatch(
      /kafka\.sasl\.token_file: the token was refused/,
    );
    put(now + 600);
    const { kafka, record, read } = await connect({ brokers: brokers(2), sasl });
    const producer = kafka.producer();
    await producer.write([record("authenticated")]);
    await expect.poll(() => read()).toEqual(["authenticated"]);
    await producer.close();
  });

  test("use TLS, and refuse a certificate of an unknown authority", async () => {
    const tls = { ca_file: `${broker.folder}/tls/ca.pem` };
    const { kafka, record, read } = await connect({ brokers: brokers(3), tls });
    const producer = kafka.producer();
    await producer.write([record("encrypted")]);
    await expect.poll(() => read()).toEqual(["encrypted"]);
    await producer.close();
    await expect(connect({ brokers: brokers(3), tls: {} })).rejects.toThrow();
  });
});
