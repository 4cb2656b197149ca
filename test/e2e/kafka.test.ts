/** Three workers on a real broker that are killed, frozen and stopped at random moments, and the broker with them. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Router } from "../../src/kafka/router.ts";
import { ExportError } from "../../src/otlp/protocol.ts";
import { logsRequest, normalLine, random, strangeLine } from "../engine/requests.ts";
import { expectAsAlone } from "../kafka/as-alone.ts";
import { Broker } from "../kafka/broker.ts";
import { Installation, type Role } from "../kafka/installation.ts";

const services = Array.from({ length: 500 }, (_, i) => `service-${i}`);
const linesPerRound = 4;
const learnedAfter = 40;
const sessionMs = 3_000;
const [kills, freezes, stops] = [20, 5, 3];

let broker: Broker;
let installation: Installation;
beforeAll(async () => {
  broker = await Broker.start();
  installation = await Installation.create(
    broker,
    { detect: { baseline: { records: 128 } } },
    { partitions: 12, checkpoint_interval: "5s", session_timeout: `${sessionMs}ms` },
  );
}, 180_000);
afterAll(async () => {
  await installation?.remove();
  await broker?.remove();
});

/** Sends rounds until it is told to stop, and sends again what the brokers have not confirmed. */
class Traffic {
  readonly #router = new Router({
    kafka: installation.kafka,
    config: installation.config,
    log: { info: () => {}, warn: () => {} },
  });
  readonly #next = random(11);
  #stopped = false;
  rounds = 0;
  readonly #running = this.#run();

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await this.#router.close();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      this.rounds += 1;
      const lines = services.flatMap((service, n) => [
        // Some fall silent for a while.
        ...(n % 50 === 0 && this.rounds % 40 > 25
          ? []
          : Array.from({ length: linesPerRound }, () => normalLine(this.#next, service))),
        ...(this.rounds > learnedAfter && (n + this.rounds) % 97 === 0 ? [strangeLine(service)] : []),
      ]);
      await this.#until(() =>
        this.#router.take({ signal: "logs", tenant: "acme", body: logsRequest(lines) }),
      );
      if (this.rounds % 10 === 0) await this.#until(() => this.#router.control({ kind: "time" }));
      await sleep(100);
    }
  }

  async #until(send: () => Promise<unknown>): Promise<void> {
    for (;;) {
      try {
        await send();
        return;
      } catch (error) {
        if (!(error instanceof ExportError)) throw error;
        await sleep(error.retryAfterMs ?? 100);
      }
    }
  }
}

test(
  "nothing is lost, doubled or judged otherwise",
  async () => {
    const next = random(23);
    const workers: Role[] = [1, 2, 3].map(() => installation.start("worker"));
    await Promise.all(workers.map((worker) => worker.says(/took a partition over/)));
    const traffic = new Traffic();
    while (traffic.rounds < learnedAfter) await sleep(100);

    const events = [
      ...Array.from({ length: kills }, (_, i) => (i % 2 === 0 ? "kill" : "kill and wait")),
      ...Array.from({ length: freezes }, () => "freeze"),
      ...Array.from({ length: stops }, () => "stop"),
      "broker",
    ];
    // Shuffled, the same each time.
    events.sort(() => next() - 0.5);
    for (const event of events) {
      const which = Math.floor(next() * workers.length);
      const worker = workers[which]!;
      await sleep(300 + next() * 1_500);
      switch (event) {
        case "freeze":
          await worker.kill("SIGSTOP");
          await sleep(2 * sessionMs);
          await worker.kill("SIGCONT");
          break;
        case "broker":
          // A process that starts needs a broker.
          await Promise.all(workers.map((each) => each.says(/working with other processes/)));
          await broker.kill();
          await broker.resume();
          break;
        case "stop":
          await worker.says(/working with other processes/);
          expect(await worker.kill("SIGTERM")).toBe(0);
          workers[which] = installation.start("worker");
          break;
        default:
          await worker.kill();
          if (event === "kill and wait") await sleep(1.5 * sessionMs);
          workers[which] = installation.start("worker");
      }
      for (const each of workers) expect(each.unexpected).toBeUndefined();
    }
    await traffic.stop();
    await installation.judged();
    for (const worker of workers) {
      await worker.says(/working with other processes/);
      expect(await worker.kill("SIGTERM")).toBe(0);
    }
    await expectAsAlone(installation);
  },
  20 * 60_000,
);
