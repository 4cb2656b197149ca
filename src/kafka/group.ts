/** What this process does as a member of a consumer group: a task for each partition that the group gives to it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { KafkaConfig } from "../config/schema.ts";
import { earliest, type Kafka, type Member, type Reader, reasonOf } from "./client.ts";
import type { TopicHooks } from "./hooks.ts";
import type { Inbox } from "./inbox.ts";
import { groupName } from "./topics.ts";

export interface Log {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

/** Work on one partition. */
export interface Task {
  readonly inbox: Inbox;
  /** The offset up to which the work is done; undefined as long as that is not known. */
  readonly doneTo: bigint | undefined;
  /** For how many milliseconds the engine has had records without an answer; undefined if there is no engine. */
  readonly judgingFor?: number;
  /**
   * Works until the inbox is stopped.
   * @throws {Fenced} if another process has the partition.
   * @throws {Refused} if only an operator can decide how to go on.
   */
  run(): Promise<void>;
}

/** What is stored cannot be used. */
export class Refused extends Error {}

/** Another process has taken a partition over. */
export class Fenced extends Error {}

interface Parts {
  kafka: Kafka;
  config: KafkaConfig;
  /** The name of the topic. */
  topic: string;
  /** The name of the role, which is the group's. */
  role: string;
  makeTask(partition: number, member: Member): Task;
  hooks: Pick<TopicHooks, "onFailure">;
  log: Log;
}

export interface GroupState {
  /** Why the process is not in the group; undefined if it is. */
  outside: string | undefined;
  /** The number of partitions that it has. */
  partitions: number;
  /** The number of records that wait in them, as far as is known. */
  lag: number;
  /** The longest time for which an engine has had records without an answer, in milliseconds. */
  judgingFor: number;
}

/** How long brokers wait for records before they answer that there are none: a partition that is new must not wait longer. */
const waitMs = 250;
const fetchBytes = 4 * 2 ** 20;
const retryMs = 1_000;
/** How often the group's offsets are updated. */
const commitMs = 2_000;

export class Group {
  readonly #parts: Parts;
  readonly #member: Member;
  readonly #reader: Reader;
  readonly #running = new Map<number, { task: Task; ended: Promise<void> }>();
  #assigned: ReadonlySet<number> = new Set();
  #closing = false;
  readonly #fetching: Promise<void>;
  readonly #timer: NodeJS.Timeout;
  /** The offsets that the group has from here. */
  readonly #committed = new Map<number, bigint>();
  #fail: (error: Error) => void = () => {};
  /** Rejects if a task was refused: the process must end. */
  readonly failed: Promise<never>;

  /** Joins the group, which may take as long as brokers are away. */
  constructor(parts: Parts) {
    const { kafka, config, role, log } = parts;
    this.#parts = parts;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => {});
    const { topic } = parts;
    this.#reader = kafka.reader(topic);
    this.#member = kafka.member(groupName(config, role), topic);
    this.#member.onAssigned = (partitions) => this.#assign(partitions);
    this.#member.onError = (reason) =>
      log.warn({ role, reason }, "kafka: the group cannot be joined; trying again");
    this.#member.join();
    this.#fetching = this.#fetch();
    this.#timer = setInterval(() => void this.#commit(), commitMs).unref();
  }

  state(): GroupState {
    const tasks = [...this.#running.values()].map(({ task }) => task);
    return {
      outside: this.#member.outside,
      partitions: tasks.length,
      lag: tasks.reduce((sum, { inbox, doneTo }) => sum + (doneTo === undefined ? 0 : inbox.lag(doneTo)), 0),
      judgingFor: Math.max(0, ...tasks.map(({ judgingFor = 0 }) => judgingFor)),
    };
  }

  /** Lets the tasks end, and leaves the group, so that others take over at once. */
  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#timer);
    const running = [...this.#running.values()];
    for (const { task } of running) task.inbox.stop();
    await Promise.all(running.map(({ ended }) => ended));
    await this.#commit();
    await this.#member.close().catch(() => {});
    await this.#fetching;
    await this.#reader.close().catch(() => {});
  }

  #assign(partitions: ReadonlySet<number>): void {
    if (this.#closing) return;
    this.#assigned = partitions;
    for (const [number, { task }] of this.#running) if (!partitions.has(number)) task.inbox.stop();
    for (const number of partitions) this.#start(number);
  }

  #start(number: number): void {
    if (this.#closing || this.#running.has(number)) return;
    const task = this.#parts.makeTask(number, this.#member);
    const ended = task.run().then(
      () => this.#again(number, 0),
      (error) => this.#failed(number, error),
    );
    this.#running.set(number, { task, ended });
  }

  #failed(partition: number, error: Error): void {
    const { role, hooks, log, config } = this.#parts;
    hooks.onFailure();
    if (error instanceof Refused) {
      this.#fail(new Error(`kafka: partition ${partition}: ${error.message}`));
      return;
    }
    log.warn(
      { role, partition, reason: reasonOf(error) },
      "kafka: the work on a partition ended; trying again",
    );
    // If another process has it, the group is about to say so. If it says nothing for a whole session, it is still ours.
    this.#again(partition, error instanceof Fenced ? config.session_timeout : retryMs);
  }

  /** Starts a task again, if the partition is still this process's by then. */
  #again(number: number, ms: number): void {
    if (this.#closing) return;
    this.#running.delete(number);
    this.#committed.delete(number);
    void sleep(ms, undefined, { ref: false }).then(() => {
      if (this.#assigned.has(number)) this.#start(number);
    });
  }

  /** Fetches for all partitions at once, because a connection carries one request at a time. */
  async #fetch(): Promise<void> {
    while (!this.#closing) {
      const from = new Map<number, bigint>();
      for (const [number, { task }] of this.#running) {
        const { wants } = task.inbox;
        if (wants !== undefined) from.set(number, wants);
      }
      if (from.size === 0) {
        await sleep(20);
        continue;
      }
      try {
        const found = await this.#reader.fetch(from, { waitMs, bytes: fetchBytes });
        for (const [number, fetched] of found) {
          this.#running.get(number)?.task.inbox.push(from.get(number)!, fetched);
        }
      } catch (error) {
        if (this.#closing) return;
        const { role, log } = this.#parts;
        log.warn({ role, reason: reasonOf(error) }, "kafka: records cannot be read; trying again");
        await this.#findStarts([...from.keys()]);
        await sleep(retryMs, undefined, { ref: false });
      }
    }
  }

  /** Tells tasks where the log begins: the brokers may have deleted what comes next. */
  async #findStarts(numbers: number[]): Promise<void> {
    const starts = await this.#reader.offsets(numbers, earliest).catch(() => new Map<number, bigint>());
    for (const [number, start] of starts) this.#running.get(number)?.task.inbox.startsAt(start);
  }

  #note(number: number, { doneTo }: Task): boolean {
    if (doneTo === undefined || this.#committed.get(number) === doneTo) return false;
    this.#committed.set(number, doneTo);
    return true;
  }

  async #commit(): Promise<void> {
    const changed = [...this.#running].filter(([number, { task }]) => this.#note(number, task));
    if (changed.length === 0) return;
    const offsets = new Map(changed.map(([number]) => [number, this.#committed.get(number)!] as const));
    await this.#member.commit(offsets).catch(() => {
      for (const number of offsets.keys()) this.#committed.delete(number);
    });
  }
}
