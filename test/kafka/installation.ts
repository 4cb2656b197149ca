/** Worker processes on a real broker, what is sent to them, and what one engine makes of the same log. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import type { Config } from "../../src/config/schema.ts";
import { configuredHashKey, Engine } from "../../src/engine/index.ts";
import {
  type Admin,
  earliest,
  Kafka,
  type LogRecord,
  latest,
  type NewRecord,
} from "../../src/kafka/client.ts";
import { Judge } from "../../src/kafka/judge.ts";
import { partitionSettings } from "../../src/kafka/roles.ts";
import { readState } from "../../src/kafka/state.ts";
import { createTopics, groupName, type TopicKind, topicName } from "../../src/kafka/topics.ts";
import { enginePrivacy } from "../../src/privacy/policy.ts";
import type { Broker } from "./broker.ts";

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

export class Installation {
  readonly config: Config;
  readonly kafka: Kafka;
  readonly #folder: string;
  readonly #file: string;
  readonly #children = new Set<Role>();

  private constructor(config: Config, kafka: Kafka, folder: string, file: string) {
    this.config = config;
    this.kafka = kafka;
    this.#folder = folder;
    this.#file = file;
  }

  static async create(broker: Broker, settings: object, kafkaSettings: object = {}): Promise<Installation> {
    const folder = mkdtempSync(join(tmpdir(), "driftlock-installation-"));
    const keyFile = join(folder, "hash.key");
    writeFileSync(keyFile, randomBytes(32).toString("hex"), { mode: 0o600 });
    const detect = { key_file: keyFile, ...(settings as { detect?: object }).detect };
    const { kafka } = broker.config(kafkaSettings);
    const whole = { api: { enabled: false }, ...settings, detect };
    const config = broker.config({ ...kafkaSettings, topic_prefix: kafka.topic_prefix }, whole);
    const file = join(folder, "driftlock.yaml");
    writeFileSync(file, stringify({ ...whole, kafka: given(config) }));
    const client = await Kafka.load(config.kafka);
    const admin: Admin = client.admin();
    await createTopics(admin, config.kafka).finally(() => admin.close());
    return new Installation(config, client, folder, file);
  }

  get partitions(): number[] {
    return Array.from({ length: this.config.kafka.partitions }, (_, i) => i);
  }

  /** Starts a process with a role. @param settings of its own, by key */
  start(role: string, settings: Readonly<Record<string, string>> = {}): Role {
    // Only topics and the database are shared.
    const data = join(this.#folder, `data-${this.#children.size}`);
    const own = Object.entries({ ...settings, data_dir: data }).flatMap(([key, value]) => [
      `--${key}`,
      value,
    ]);
    const running = new Role(role, ["--config", this.#file, ...own]);
    this.#children.add(running);
    return running;
  }

  /** Resolves once everything that is in `in` now has been judged. */
  async judged(): Promise<void> {
    const reader = this.kafka.reader(topicName(this.config.kafka, "in"));
    const ends = await reader.offsets(this.partitions, latest).finally(() => reader.close());
    for (const partition of this.partitions) {
      const place = { topic: topicName(this.config.kafka, "state"), partition };
      for (;;) {
        const { progress } = await readState(this.kafka, place);
        if ((progress?.offset ?? 0n) >= ends.get(partition)!) break;
        const ended = [...this.#children].find(({ unexpected }) => unexpected !== undefined);
        if (ended !== undefined) throw new Error(`a process ended: ${ended.unexpected}`);
        await sleep(100);
      }
    }
  }

  /** Resolves once the sinks have stored what is in a topic now. */
  async stored(kind: "anomalies" | "statistics"): Promise<void> {
    const name = topicName(this.config.kafka, kind);
    const ends = new Map((await this.read(kind)).map(({ partition, offset }) => [partition, offset + 1n]));
    const group = this.kafka.member(groupName(this.config.kafka, `sink-${kind}`), name);
    try {
      for (;;) {
        const stored = await group.committed(this.partitions);
        if ([...ends].every(([partition, end]) => stored.get(partition)! >= end)) return;
        await sleep(100);
      }
    } finally {
      await group.close();
    }
  }

  /** Returns what a topic holds, by partition. */
  async read(kind: TopicKind): Promise<LogRecord[]> {
    const reader = this.kafka.reader(topicName(this.config.kafka, kind));
    try {
      const at = await reader.offsets(this.partitions, earliest);
      const ends = await reader.offsets(this.partitions, latest);
      const records: LogRecord[] = [];
      for (;;) {
        for (const [partition, offset] of at) if (offset >= ends.get(partition)!) at.delete(partition);
        if (at.size === 0)
          return records.sort((a, b) => a.partition - b.partition || Number(a.offset - b.offset));
        for (const [partition, found] of await reader.fetch(at, { waitMs: 500, bytes: 8 * 2 ** 20 })) {
          records.push(...found.records);
          at.set(partition, found.next);
        }
      }
    } finally {
      await reader.close();
    }
  }

  /** Returns an engine as workers have one for each partition. */
  makeEngine(): Engine {
    const key = configuredHashKey(this.config.detect);
    return new Engine(partitionSettings(this.config.detect, this.config.kafka), {
      mode: this.config.forward.mode,
      privacy: enginePrivacy(this.config.privacy, key),
      llm: this.config.llm,
      key,
      recordings: true,
    });
  }

  /** Returns what one process makes of `in` that judges it from its beginning to its end without a break. */
  async judgeAlone(): Promise<NewRecord[]> {
    const { partitions } = this.config.kafka;
    const topics = { out: "out", anomalies: "anomalies", statistics: "statistics" };
    const judges = this.partitions.map(
      (partition) => new Judge(this.makeEngine(), topics, { partition, partitions }),
    );
    const found: NewRecord[] = [];
    for (const record of await this.read("in"))
      found.push(...(await judges[record.partition]!.apply(record)));
    await Promise.all(judges.map(({ engine }) => engine.close()));
    return found;
  }

  async remove(): Promise<void> {
    await Promise.all([...this.#children].map((child) => child.kill()));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Returns the settings that differ from the defaults, which a file may hold. */
function given({ kafka }: Config): object {
  const { brokers, topic_prefix, partitions, replication, retention, checkpoint_interval, session_timeout } =
    kafka;
  return { brokers, topic_prefix, partitions, replication, retention, checkpoint_interval, session_timeout };
}

/** A process with a role. */
export class Role {
  readonly #child: ChildProcess;
  #expected = false;
  #said = "";

  constructor(role: string, args: readonly string[]) {
    this.#child = spawn(process.execPath, [main, "run", "--roles", role, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.on("data", (chunk: Buffer) => {
        this.#said = (this.#said + chunk.toString()).slice(-20_000);
      });
    }
  }

  /** What the process has logged lately. */
  get said(): string {
    return this.#said;
  }

  /** What the process said before it ended by itself; undefined if it runs or was stopped. */
  get unexpected(): string | undefined {
    const { exitCode } = this.#child;
    return this.#expected || exitCode === null ? undefined : `${exitCode}: ${this.#said}`;
  }

  /** Resolves to the first match of what the process says. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.#said);
      if (found !== null) return found;
      if (this.unexpected !== undefined) throw new Error(this.unexpected);
      await sleep(20);
    }
  }

  /** Resolves to the exit code once the process has ended by itself. */
  get ended(): Promise<number | null> {
    this.#expected = true;
    const { exitCode } = this.#child;
    if (exitCode !== null) return Promise.resolve(exitCode);
    return new Promise((resolve) => this.#child.once("exit", resolve));
  }

  /** Sends a signal, and waits for the end unless it is one that stops or continues. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<number | null> {
    if (signal === "SIGSTOP" || signal === "SIGCONT") {
      this.#child.kill(signal);
      return null;
    }
    this.#expected = true;
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return exitCode;
    const ended = new Promise<number | null>((resolve) => this.#child.once("exit", resolve));
    this.#child.kill(signal);
    return ended;
  }
}
