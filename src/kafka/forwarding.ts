/** Delivers what the workers wrote to the topic `out`, through the forwarder that the configuration asks for. */
import { setTimeout as sleep } from "node:timers/promises";
import type { KafkaConfig } from "../config/schema.ts";
import type { Exporter } from "../forward/index.ts";
import { isRetryable } from "../otlp/codes.ts";
import { ExportError } from "../otlp/protocol.ts";
import type { Kafka, LogRecord, Member } from "./client.ts";
import type { Log, Task } from "./group.ts";
import { Inbox } from "./inbox.ts";
import { inputOf } from "./messages.ts";
import { resumeAt } from "./resume.ts";
import { topicName } from "./topics.ts";

interface Parts {
  kafka: Kafka;
  config: KafkaConfig;
  exporter: Pick<Exporter, "export">;
  log: Log;
}

/** How much of a partition is delivered at once, before the next of it. */
const bytesAtOnce = 2 ** 20;
const retryMs = 1_000;

/** Delivers one partition, at least once: what was delivered when the process ended is delivered again if the group does not know. */
export class ForwardedPartition implements Task {
  readonly inbox = new Inbox();
  readonly #number: number;
  readonly #parts: Parts;
  readonly #member: Member;
  doneTo: bigint | undefined;

  constructor(number: number, member: Member, parts: Parts) {
    this.#number = number;
    this.#member = member;
    this.#parts = parts;
  }

  async run(): Promise<void> {
    this.inbox.open(await this.#start());
    while (!this.inbox.stopped) {
      const batch = await this.inbox.gather(0, bytesAtOnce);
      if (batch.length === 0) continue;
      const delivered = await Promise.all(batch.map((record) => this.#deliver(record)));
      if (!delivered.every(Boolean)) return;
      this.doneTo = batch.at(-1)!.offset + 1n;
    }
  }

  /** Returns where the group was, or where the topic begins if that is later. */
  async #start(): Promise<bigint> {
    const { kafka, config, log } = this.#parts;
    const committed = (await this.#member.committed([this.#number])).get(this.#number)!;
    const doneTo = committed < 0n ? undefined : committed;
    const source = { topic: topicName(config, "out"), partition: this.#number };
    return resumeAt(kafka, source, { doneTo, done: "delivered", log });
  }

  /** Resolves to true once the downstream has the request or has refused it for good, and to false if the work ends before. */
  async #deliver(record: LogRecord): Promise<boolean> {
    const input = inputOf(record);
    if (input?.kind !== "data") return true;
    for (;;) {
      try {
        await this.#parts.exporter.export(input.signal, input.body, new AbortController().signal);
        return true;
      } catch (error) {
        if (!(error instanceof ExportError)) throw error;
        if (!isRetryable(error.code, error.retryAfterMs)) {
          this.#parts.log.warn(
            { partition: this.#number, offset: String(record.offset), reason: error.message },
            "kafka: the downstream refused a request for good",
          );
          return true;
        }
        if (this.inbox.stopped) return false;
        await sleep(error.retryAfterMs ?? retryMs, undefined, { ref: false });
      }
    }
  }
}
