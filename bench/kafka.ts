/**
 * What a second worker brings, and what a take-over costs, on a real broker.
 *
 *     node bench/kafka.ts [--seconds 60] [--rounds 3]
 *
 * Workers are pinned to a core each, join their group on an empty topic and are stopped. Then a backlog is written that takes one of them
 * about so many seconds, and they go on. One and two workers take turns. The broker runs on the same machine, so that with two cores, what
 * it takes is missing to two workers and not to one: its CPU time is shown beside.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { stringify } from "yaml";
import { parseConfig } from "../src/index.ts";
import { Kafka } from "../src/kafka/client.ts";
import { Partitioning } from "../src/kafka/partitioning.ts";
import { Router } from "../src/kafka/router.ts";
import { createTopics, topicKinds, topicName } from "../src/kafka/topics.ts";
import { Program, stopAll, until } from "../test/e2e/programs.ts";
import { logsRequest, normalLine, random } from "../test/engine/requests.ts";
import { Broker } from "../test/kafka/broker.ts";
import { cpuSeconds, median } from "./measure.ts";
import { round, table } from "./table.ts";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "60" }, rounds: { type: "string", default: "3" } },
});
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const partitions = 12;
const services = 240;
const tenant = "acme";
const streams = 1_000;
const recordsPerRequest = 1_000;
const waitMs = 600_000;
const log = { info() {}, warn() {} };

const folder = mkdtempSync(join(tmpdir(), "driftlock-bench-kafka-"));
const keyFile = join(folder, "hash.key");
writeFileSync(keyFile, randomBytes(32).toString("hex"), { mode: 0o600 });

/** Names of services, of which each partition has as many: two workers have as much to do each. */
const names = (() => {
  const partitioning = new Partitioning(parseConfig({}).detect, { partitions });
  const next = random(3);
  const byPartition = Array.from({ length: partitions }, (): string[] => []);
  for (let i = 0; byPartition.some((found) => found.length < services / partitions); i += 1) {
    const name = `service-${i}`;
    const [[partition] = []] = partitioning.divide(tenant, logsRequest([normalLine(next, name)]));
    const found = byPartition[partition!]!;
    if (found.length < services / partitions) found.push(name);
  }
  return byPartition.flat();
})();

/** Requests of all services, whose records have no times, so that they can be sent again and again. */
const requests = (() => {
  const next = random(1);
  const line = (i: number) => ({ ...normalLine(next, names[i % services]), time: 0n });
  const make = () => logsRequest(Array.from({ length: recordsPerRequest }, (_, i) => line(i)));
  return Array.from({ length: 100 }, make);
})();

class Worker {
  readonly program: Program;
  #health = "";

  private constructor(program: Program) {
    this.program = program;
  }

  static async start(file: string, core: number, name: string): Promise<Worker> {
    const args = [main, "run", "--roles", "worker", "--config", file, "--data_dir", join(folder, name)];
    const worker = new Worker(new Program("taskset", ["-c", String(core), process.execPath, ...args]));
    worker.#health = (await worker.program.said(/"health":"(127.0.0.1:\d+)"/))[1]!;
    return worker;
  }

  async metric(name: string): Promise<number> {
    const text = await (await fetch(`http://${this.#health}/metrics`)).text();
    const line = text.split("\n").find((each) => each.startsWith(`driftlock_${name} `));
    return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(" ")));
  }

  cpu(): Promise<number> {
    return cpuSeconds(this.program.pid);
  }
}

async function sum(workers: readonly Worker[], read: (worker: Worker) => Promise<number>): Promise<number> {
  return (await Promise.all(workers.map(read))).reduce((all, each) => all + each, 0);
}

/** An installation of workers alone, with topics of its own. */
async function install(broker: Broker, settings: object) {
  const { kafka: config } = broker.config({ partitions, session_timeout: "10m", ...settings });
  const { brokers, topic_prefix, checkpoint_interval, session_timeout } = config;
  const detect = { key_file: keyFile, baseline: { records: 128 } };
  const file = join(folder, `${topic_prefix}yaml`);
  writeFileSync(
    file,
    stringify({
      // What is forwarded would be the broker's work.
      forward: { mode: "flagged" },
      health: { endpoint: "127.0.0.1:0" },
      detect,
      kafka: {
        brokers,
        topic_prefix,
        partitions: config.partitions,
        replication: 1,
        checkpoint_interval,
        session_timeout,
      },
    }),
  );
  const kafka = await Kafka.load(config);
  const admin = kafka.admin();
  await createTopics(admin, config);
  const router = new Router({ kafka, config: { ...broker.config(), kafka: config }, log });
  return {
    file,
    router,
    partitions: config.partitions,
    async remove() {
      await router.close();
      for (const kind of topicKinds) await admin.delete(topicName(config, kind));
      await admin.close();
    },
  };
}

const owned = (workers: readonly Worker[]) =>
  sum(workers, (each) => each.metric('kafka_partitions{topic="in"}'));
const taken = (workers: readonly Worker[]) =>
  sum(workers, (each) => each.metric("kafka_takeover_seconds_count"));

async function write(router: Router, records: number): Promise<void> {
  const count = Math.ceil(records / recordsPerRequest);
  const atOnce = 16;
  for (let at = 0; at < count; at += atOnce) {
    const some = Array.from(
      { length: Math.min(atOnce, count - at) },
      (_, i) => requests[(at + i) % requests.length]!,
    );
    await Promise.all(some.map((body) => router.take({ signal: "logs", tenant, body })));
  }
}

interface Run {
  seconds: number;
  cpuPerRecord: number;
  brokerCpu: number;
}

/** Lets workers consume a backlog. */
async function consume(broker: Broker, count: number, records: number): Promise<Run> {
  const { file, router, partitions: all, remove } = await install(broker, {});
  const workers: Worker[] = [];
  for (let core = 0; core < count; core += 1) workers.push(await Worker.start(file, core, `worker-${core}`));
  await until(
    "the partitions to be divided",
    async () => {
      const each = await Promise.all(workers.map((worker) => worker.metric('kafka_partitions{topic="in"}')));
      return each.every((has) => has === all / count) && (await taken(workers)) >= all ? true : undefined;
    },
    waitMs,
  );
  const judged = () => sum(workers, (each) => each.metric('receiver_records_total{signal="logs"}'));
  // What streams learn first costs more than what follows, and the code is not compiled yet.
  await write(router, 400_000);
  await until("the beginning", async () => ((await judged()) >= 400_000 ? true : undefined), waitMs);
  for (const { program } of workers) program.kill("SIGSTOP");
  await write(router, records);
  const goal = 400_000 + Math.ceil(records / recordsPerRequest) * recordsPerRequest;
  const [cpu, brokerCpu] = [await sum(workers, (each) => each.cpu()), await cpuSeconds(broker.pid)];
  const since = performance.now();
  for (const { program } of workers) program.kill("SIGCONT");
  while ((await judged()) < goal) await sleep(100);
  const took = (performance.now() - since) / 1_000;
  const used = (await sum(workers, (each) => each.cpu())) - cpu;
  const found = {
    seconds: took,
    cpuPerRecord: (1e6 * used) / records,
    brokerCpu: (await cpuSeconds(broker.pid)) - brokerCpu,
  };
  await Promise.all(workers.map(({ program }) => program.stop()));
  await remove();
  return found;
}

/** Returns the CPU seconds in which a worker that waited takes over a partition of 1,000 streams from one that is killed. */
async function takeOver(broker: Broker): Promise<number> {
  const { file, router, remove } = await install(broker, {
    partitions: 1,
    checkpoint_interval: "2s",
    session_timeout: "6s",
  });
  const first = await Worker.start(file, 0, "first");
  await until("the partition", async () => ((await owned([first])) === 1 ? true : undefined), waitMs);
  const next = random(2);
  const perStream = 200;
  for (let i = 0; i < perStream; i += 20) {
    const lines = Array.from({ length: streams * 20 }, (_, n) => normalLine(next, `service-${n % streams}`));
    for (let at = 0; at < lines.length; at += 2_000) {
      await router.take({ signal: "logs", tenant, body: logsRequest(lines.slice(at, at + 2_000)) });
    }
  }
  const judged = () => first.metric('receiver_records_total{signal="logs"}');
  await until(
    "the streams",
    async () => ((await judged()) === streams * perStream ? true : undefined),
    waitMs,
  );
  // A checkpoint is made with records, so that the last ones are after it.
  await sleep(2_500);
  await router.take({ signal: "logs", tenant, body: logsRequest([normalLine(next, "service-0")]) });
  const second = await Worker.start(file, 1, "second");
  await sleep(3_000);
  const before = await second.cpu();
  first.program.kill("SIGKILL");
  await until("the take-over", async () => ((await taken([second])) === 1 ? true : undefined), waitMs);
  const took = (await second.cpu()) - before;
  const restored = await second.metric("streams");
  if (restored !== streams) throw new Error(`${restored} streams were restored`);
  await second.program.stop();
  await remove();
  return took;
}

const broker = await Broker.start();
try {
  const takeOvers: number[] = [];
  for (let i = 0; i < rounds; i += 1) takeOvers.push(await takeOver(broker));
  console.log(
    `take-over of ${streams} streams, CPU seconds: ${round(median(takeOvers))} (${takeOvers.map((each) => round(each)).join(", ")})\n`,
  );

  const trial = 1_000_000;
  const records = Math.ceil((trial * seconds) / (await consume(broker, 1, trial)).seconds);
  const runs: [one: Run, two: Run][] = [];
  for (let i = 0; i < rounds; i += 1) {
    runs.push([await consume(broker, 1, records), await consume(broker, 2, records)]);
  }
  console.log(
    table(
      runs.map(([one, two]) => ({
        "records, million": round(records / 1e6),
        "one worker, s": round(one.seconds),
        "two workers, s": round(two.seconds),
        "times as fast": round(one.seconds / two.seconds),
        "CPU per record, us": `${round(one.cpuPerRecord)}, ${round(two.cpuPerRecord)}`,
        "times the CPU": round(two.cpuPerRecord / one.cpuPerRecord),
        "broker's CPU, s": `${round(one.brokerCpu)}, ${round(two.brokerCpu)}`,
      })),
    ),
  );
  const ratio = (of: (one: Run, two: Run) => number) => round(median(runs.map(([one, two]) => of(one, two))));
  console.log(
    `two workers: ${ratio((one, two) => one.seconds / two.seconds)} times as fast as one (goal: 1.7), ${ratio((one, two) => two.cpuPerRecord / one.cpuPerRecord)} times the CPU per record (at most 1.15)`,
  );
} finally {
  await stopAll();
  await broker.remove();
  rmSync(folder, { recursive: true, force: true });
}
