/** What a worker does not go on from: nothing is learned again unless an operator says so. */
import { Admin as LibraryAdmin } from "@platformatic/kafka";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Config } from "../../src/config/schema.ts";
import { configuredHashKey } from "../../src/engine/index.ts";
import type { Group } from "../../src/kafka/group.ts";
import { unwatched } from "../../src/kafka/hooks.ts";
import { resetState } from "../../src/kafka/operations.ts";
import { startWorker } from "../../src/kafka/roles.ts";
import { Router } from "../../src/kafka/router.ts";
import { progressRecord, readState } from "../../src/kafka/state.ts";
import { topicName } from "../../src/kafka/topics.ts";
import { logsRequest, normalLine, random } from "../engine/requests.ts";
import { Broker, skipKafka } from "./broker.ts";
import { Installation } from "./installation.ts";

const log = { info: () => {}, warn: () => {} };

let broker: Broker;
let installation: Installation;
let worker: Group | undefined;
beforeAll(async () => {
  if (!skipKafka) broker = await Broker.start();
}, 180_000);
afterEach(async () => {
  await worker?.close();
  await installation?.remove();
});
afterAll(() => broker?.remove());

const work = (config: Config) => {
  const key = configuredHashKey(config.detect);
  worker = startWorker({ kafka: installation.kafka, config, key, privacy: {}, hooks: unwatched, log }).group;
  return worker;
};

const send = async (rounds: number) => {
  const router = new Router({ kafka: installation.kafka, config: installation.config, log });
  const next = random(1);
  for (let i = 0; i < rounds; i += 1) {
    const lines = Array.from({ length: 20 }, () => normalLine(next));
    await router.take({ signal: "logs", tenant: "acme", body: logsRequest(lines) });
  }
  await router.close();
};

/** A partition that has learned something, and that nobody works on. */
async function learned(): Promise<void> {
  installation = await Installation.create(broker, {}, { partitions: 1 });
  await send(10);
  const first = work(installation.config);
  await installation.judged();
  await first.close();
  await eventualState().toMatchObject({ checkpoint: { offset: 10n, hasLearned: true } });
}

const place = () => ({ topic: topicName(installation.config.kafka, "state"), partition: 0 });
const state = () => readState(installation.kafka, place());
/** The state of the partition; what was committed becomes visible a little later. */
const eventualState = () => expect.poll(state, { timeout: 30_000 });
const refusal = (config = installation.config): Promise<string> =>
  work(config).failed.catch(({ message }: Error) => message);

describe.skipIf(skipKafka)("a worker refuses", () => {
  test("other settings, until they are as before or the streams are to learn again", async () => {
    await learned();
    const { detect } = installation.config;
    const other = { ...installation.config, detect: { ...detect, seed: 43 } };
    expect(await refusal(other)).toBe(
      "kafka: partition 0: detect.seed was 42 and is 43: give each key its former value, or let the streams learn again with `driftlock kafka reset-state`",
    );
    await worker!.close();
    await eventualState().toMatchObject({ checkpoint: { offset: 10n }, progress: { offset: 10n } });
    await resetState(other);
    await send(3);
    work(other);
    await installation.judged();
    await eventualState().toMatchObject({ checkpoint: { offset: 10n, hasLearned: false } });
  }, 60_000);

  test("what is damaged, and what another version learned", async () => {
    await learned();
    const transactor = installation.kafka.transactor("somebody");
    const { learned: records, checkpoint } = await state();
    const { key, value } = records.find(({ value }) => value.length > 100)!;
    const altered = Buffer.from(value);
    altered[50]! ^= 1;
    await transactor.commit([{ ...place(), key, value: altered }]);
    expect(await refusal()).toMatch(/what the streams learned cannot be used, because .*reset-state/);
    await worker!.close();
    const aged = { ...checkpoint, offset: String(checkpoint!.offset), format: 1 };
    await transactor.commit([
      { ...place(), key, value },
      { ...place(), key: Buffer.from("!checkpoint"), value: Buffer.from(JSON.stringify(aged)) },
    ]);
    expect(await refusal()).toMatch(
      /another version of Driftlock stored .* its format is 1, this version reads/,
    );
    await worker!.close();
    await transactor.commit([{ ...place(), key: Buffer.from("!checkpoint"), value: Buffer.from("{") }]);
    expect(await refusal()).toContain("its own records cannot be read");
    await transactor.close();
  }, 60_000);

  test("a log that was deleted before it was judged", async () => {
    await learned();
    await send(5);
    const admin = new LibraryAdmin({
      clientId: "test",
      bootstrapBrokers: installation.config.kafka.brokers,
    });
    const topic = topicName(installation.config.kafka, "in");
    await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 12n }] }] });
    await admin.close();
    expect(await refusal()).toMatch(
      /the topic in begins at offset 12, and 10 is the next one to judge.*raise kafka.retention/,
    );
    await worker!.close();
    await resetState(installation.config);
    await eventualState().toMatchObject({ progress: { offset: 12n } });
    work(installation.config);
    await installation.judged();
    await eventualState().toMatchObject({ progress: { offset: 15n } });
  }, 60_000);

  test("nothing for its progress alone", async () => {
    installation = await Installation.create(broker, {}, { partitions: 1 });
    await send(4);
    const transactor = installation.kafka.transactor("somebody");
    await transactor.commit([progressRecord(place(), { offset: 2n, toldAt: 2n })]);
    await transactor.close();
    work(installation.config);
    await installation.judged();
    expect((await installation.read("out")).map(({ headers }) => headers.get("offset"))).toEqual(["2", "3"]);
  }, 60_000);
});
