/** Workers die, and what they leave is what one worker alone makes of the same log, bit for bit. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type LogRecord, latest } from "../../src/kafka/client.ts";
import { Engines } from "../../src/kafka/engines.ts";
import { Fenced } from "../../src/kafka/group.ts";
import { unwatched } from "../../src/kafka/hooks.ts";
import { JudgedPartition } from "../../src/kafka/partition.ts";
import { Router } from "../../src/kafka/router.ts";
import { topicName } from "../../src/kafka/topics.ts";
import { logsRequest, normalLine, random, strangeLine } from "../engine/requests.ts";
import { expectAsAlone } from "./as-alone.ts";
import { Broker, skipKafka } from "./broker.ts";
import { Installation } from "./installation.ts";

const log = { info: () => {}, warn: () => {} };
const services = Array.from({ length: 12 }, (_, i) => `service-${i}`);

let broker: Broker;
let installation: Installation | undefined;
beforeAll(async () => {
  if (!skipKafka) broker = await Broker.start();
}, 180_000);
afterEach(() => installation?.remove());
afterAll(() => broker?.remove());

/** Sends rounds of lines of all services, in which some are strange once streams have learned. */
class Senders {
  readonly #router: Router;
  readonly #next = random(7);
  #round = 0;

  constructor({ kafka, config }: Installation) {
    this.#router = new Router({ kafka, config, log });
  }

  async rounds(count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      this.#round += 1;
      const strange = this.#round > 12 && this.#round % 5 === 0;
      const lines = services.flatMap((service, n) => [
        ...Array.from({ length: 20 }, () => normalLine(this.#next, service)),
        ...(strange && n % 3 === 0 ? [strangeLine(service)] : []),
      ]);
      await this.#router.take({ signal: "logs", tenant: `tenant-${i % 2}`, body: logsRequest(lines) });
    }
    await this.#router.control({ kind: "time" });
  }

  /** Decides about an anomaly that was found, twice, as whoever hands decisions over may do. */
  async decide({ headers, key }: LogRecord): Promise<void> {
    const decision = {
      tenant: headers.get("tenant")!,
      anomaly: key.toString(),
      decision: "accepted",
    } as const;
    for (let i = 0; i < 2; i += 1) await this.#router.control({ kind: "feedback", ...decision });
  }

  close(): Promise<void> {
    return this.#router.close();
  }
}

describe.skipIf(skipKafka)("workers", () => {
  test("that are killed are replaced, and nothing is lost, doubled or judged otherwise", async () => {
    installation = await Installation.create(
      broker,
      { detect: { baseline: { records: 128 } } },
      { checkpoint_interval: "1s" },
    );
    const senders = new Senders(installation);
    let [one, two] = [installation.start("worker"), installation.start("worker")];
    await one.says(/took a partition over/);
    await senders.rounds(30);
    await one.kill();
    await senders.rounds(5);
    one = installation.start("worker");
    await one.says(/took a partition over/);
    await senders.rounds(10);
    await two.kill();
    two = installation.start("worker");
    await senders.rounds(5);
    await installation.judged();
    const found = (await installation.read("anomalies")).find(
      ({ headers }) => headers.get("kind") === "anomaly",
    );
    await senders.decide(found!);
    await two.kill("SIGSTOP");
    await senders.rounds(5);
    await installation.judged();
    await two.kill("SIGCONT");
    await senders.rounds(5);
    expect(await one.kill("SIGTERM")).toBe(0);
    await senders.rounds(5);
    await installation.judged();
    await senders.close();
    await expectAsAlone(installation);
  }, 120_000);

  test("that were frozen while others took over write nothing when they wake", async () => {
    installation = await Installation.create(
      broker,
      { detect: { baseline: { records: 128 } } },
      { partitions: 1 },
    );
    const { kafka, config } = installation;
    const fenced: string[] = [];
    const makeTask = (owner: string) =>
      new JudgedPartition(0, {
        kafka,
        config: config.kafka,
        makeEngine: () => installation!.makeEngine(),
        engines: new Engines(),
        settings: {},
        owner,
        hooks: { ...unwatched, onFenced: () => fenced.push(owner) },
        log,
      });
    const reader = kafka.reader(topicName(config.kafka, "in"));
    /** Gives a task what is in the log now. */
    const feed = async ({ inbox }: JudgedPartition) => {
      const end = (await reader.offsets([0], latest)).get(0)!;
      for (;;) {
        const at = inbox.wants;
        if (inbox.stopped || (at !== undefined && at >= end)) return end;
        if (at === undefined) await sleep(10);
        else
          inbox.push(at, (await reader.fetch(new Map([[0, at]]), { waitMs: 100, bytes: 2 ** 20 })).get(0)!);
      }
    };
    const judges = async (task: JudgedPartition) => {
      const end = await feed(task);
      while (!task.inbox.stopped && (task.doneTo ?? -1n) < end) await sleep(10);
    };
    const senders = new Senders(installation);
    const frozen = makeTask("frozen");
    const woken = frozen.run().catch((error: Error) => error);
    await senders.rounds(14);
    await judges(frozen);
    await senders.rounds(4);
    const heir = makeTask("heir");
    const running = heir.run();
    await judges(heir);
    await judges(frozen);
    expect(frozen.inbox.stopped).toBe(true);
    expect(await woken).toBeInstanceOf(Fenced);
    expect(fenced).toEqual(["frozen"]);
    await senders.rounds(4);
    await judges(heir);
    heir.inbox.stop();
    await running;
    await reader.close();
    await senders.close();
    await expectAsAlone(installation);
  }, 60_000);
});
