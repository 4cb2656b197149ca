/** Hands what is in a topic to whoever takes it, and notes how far that is once it is taken. */
import { setTimeout as sleep } from "node:timers/promises";
import { RateLimitedLog } from "../base/rate-limited-log.ts";
import { isRetryable } from "../otlp/codes.ts";
import { ExportError } from "../otlp/protocol.ts";
import type { Kafka, LogRecord, Member } from "./client.ts";
import type { Log, Task } from "./group.ts";
import type { TopicHooks } from "./hooks.ts";
import { Inbox } from "./inbox.ts";
import { resumeAt } from "./resume.ts";
import type { Place } from "./state.ts";

interface Parts {
  kafka: Kafka;
  /**
   * Takes a record. Records of a batch may be taken at the same time.
   * @throws {ExportError} if the record is refused, or is to be handed over again later.
   */
  deliver(record: LogRecord): Promise<unknown>;
  /** What is done with records, such as "delivered". */
  done: string;
  hooks: TopicHooks;
  log: Log;
}

/** How much of a partition is delivered at once, before the next of it. */
const bytesAtOnce = 2 ** 20;
const retryMs = 1_000;

/** Delivers one partition, at least once: what was delivered when the process ended is delivered again if the group does not know. */
export class DeliveredPartition implements Task {
  readonly inbox = new Inbox();
  readonly #place: Place;
  readonly #parts: Parts;
  readonly #member: Member;
  readonly #refusals = new RateLimitedLog();
  doneTo: bigint | undefined;

  constructor(place: Place, member: Member, parts: Parts) {
    this.#place = place;
    this.#member = member;
    this.#parts = parts;
  }

  async run(): Promise<void> {
    this.doneTo = await this.#start();
    this.inbox.open(this.doneTo);
    while (!this.inbox.stopped) {
      const batch = await this.inbox.gather(0, bytesAtOnce);
      if (batch.length === 0) continue;
      const delivered = await Promise.all(batch.map((record) => this.#deliver(record)));
      if (!delivered.every(Boolean)) return;
      this.doneTo = batch.at(-1)!.offset + 1n;
      this.#parts.hooks.onConsumed(batch.length);
    }
  }

  /** Returns where the group was, or where the topic begins if that is later. */
  async #start(): Promise<bigint> {
    const { kafka, done, log } = this.#parts;
    const { partition } = this.#place;
    const committed = (await this.#member.committed([partition])).get(partition)!;
    const doneTo = committed < 0n ? undefined : committed;
    return resumeAt(kafka, this.#place, { doneTo, done, log });
  }

  /** Resolves to true once the record is taken or refused for good, and to false if the work ends before. */
  async #deliver(record: LogRecord): Promise<boolean> {
    const { deliver, done, hooks, log } = this.#parts;
    for (;;) {
      try {
        await deliver(record);
        return true;
      } catch (error) {
        if (!(error instanceof ExportError)) throw error;
        if (!isRetryable(error.code, error.retryAfterMs)) {
          hooks.onSkipped(1);
          const details = { ...this.#place, offset: String(record.offset), reason: error.message };
          this.#refusals.write("refused", (times) =>
            log.warn({ ...details, times }, `kafka: a request was refused, and is not ${done}`),
          );
          return true;
        }
        if (this.inbox.stopped) return false;
        await sleep(error.retryAfterMs ?? retryMs, undefined, { ref: false });
      }
    }
  }
}
