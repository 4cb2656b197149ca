/** Accepts requests of senders, and answers once they are in the topic `in`. */
import type { DetectConfig, KafkaConfig } from "../config/schema.ts";
import { native } from "../native.ts";
import { Code, ExportError, type ExportRequest, type Signal } from "../otlp/protocol.ts";
import {
  batchBytes,
  type Kafka,
  type LogProducer,
  maxRecordBytes,
  type NewRecord,
  reasonOf,
} from "./client.ts";
import { type Control, controlHeaders, controlValue, dataHeaders } from "./messages.ts";
import { Malformed, Partitioning } from "./partitioning.ts";
import { topicName } from "./topics.ts";

interface Log {
  info(message: string): void;
  warn(details: object, message: string): void;
}

interface Parts {
  kafka: Kafka;
  config: { kafka: KafkaConfig; detect: DetectConfig };
  /** Called once records are in `in`. */
  onProduced?: (records: number) => void;
  log: Log;
}

interface Waiting {
  /** Rejects if the request is refused. */
  records: Promise<NewRecord[]>;
  resolve(): void;
  reject(error: Error): void;
}

/** When senders may try again if the brokers did not take a request. */
const retryAfterMs = 1_000;
const noKey = Buffer.alloc(0);

export class Router {
  readonly #kafka: Kafka;
  readonly #topic: string;
  readonly #partitions: number;
  readonly #partitioning: Partitioning;
  readonly #onProduced: (records: number) => void;
  readonly #log: Log;
  #producer: LogProducer | undefined;
  /** What arrived while other records were being written; the receivers bound it. */
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #fault: string | undefined;

  constructor({ kafka, config, onProduced = () => {}, log }: Parts) {
    this.#kafka = kafka;
    this.#topic = topicName(config.kafka, "in");
    this.#partitions = config.kafka.partitions;
    this.#partitioning = new Partitioning(config.detect, config.kafka);
    this.#onProduced = onProduced;
    this.#log = log;
  }

  /** Why requests cannot be written; undefined if they can, as far as is known. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /**
   * Resolves once all replicas of the brokers have the request, to the number of its records. Requests are written in the order of calls.
   * @throws {ExportError} if it is malformed, or if it is not certain that the brokers have all of it.
   */
  async take({ signal, tenant, body }: Pick<ExportRequest, "signal" | "tenant" | "body">): Promise<number> {
    const counted = native.countRecords(signal, body).then((records) => {
      if (records === null) throw malformed(signal);
      return records;
    });
    await this.#write(counted.then(() => this.#divide(signal, tenant, body)));
    return counted;
  }

  /** Gives a control record to all partitions. @throws {ExportError} as `take` does. */
  async control(control: Control): Promise<void> {
    const value = controlValue(control);
    const headers = controlHeaders(control);
    const all = Array.from({ length: this.#partitions }, (_, partition) => partition);
    await this.#write(
      Promise.resolve(
        all.map((partition) => ({ topic: this.#topic, partition, key: noKey, value, headers })),
      ),
    );
  }

  /** Writes what waits, then ends. */
  async close(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    await this.#producer?.close();
  }

  async #divide(signal: Signal, tenant: string, body: Buffer): Promise<NewRecord[]> {
    const headers = dataHeaders(signal, tenant);
    const records: NewRecord[] = [];
    for (const [partition, part] of this.#parts(signal, tenant, body)) {
      for (const value of await pieces(signal, part)) {
        if (value.length > maxRecordBytes) {
          throw new ExportError(
            Code.INVALID_ARGUMENT,
            `a record of ${value.length} bytes is larger than the ${maxRecordBytes} that the topics take; send smaller records`,
          );
        }
        records.push({ topic: this.#topic, partition, key: noKey, value, headers });
      }
    }
    return records;
  }

  #parts(signal: Signal, tenant: string, body: Buffer): Map<number, Buffer> {
    try {
      return this.#partitioning.divide(tenant, body);
    } catch (error) {
      throw error instanceof Malformed ? malformed(signal) : error;
    }
  }

  #write(records: Promise<NewRecord[]>): Promise<void> {
    // Whoever is before it may be awaited when it is refused.
    records.catch(() => {});
    return new Promise((resolve, reject) => {
      this.#waiting.push({ records, resolve, reject });
      this.#running ??= this.#run().finally(() => {
        this.#running = undefined;
      });
    });
  }

  /** Writes everything that has arrived since the last write at once: the more there is, the less each request costs. */
  async #run(): Promise<void> {
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const { batch, all } = await divided(this.#waiting.splice(0));
      if (batch.length === 0) continue;
      try {
        this.#producer ??= this.#kafka.producer();
        await this.#producer.write(all);
        this.#onProduced(all.length);
        for (const { resolve } of batch) resolve();
        if (this.#fault !== undefined) this.#log.info("kafka: requests are written again");
        this.#fault = undefined;
      } catch (cause) {
        await this.#fail(batch, cause);
      }
    }
  }

  async #fail(batch: readonly Waiting[], cause: unknown): Promise<void> {
    const reason = reasonOf(cause);
    if (this.#fault === undefined)
      this.#log.warn({ reason }, "kafka: requests cannot be written; senders must try again");
    this.#fault = reason;
    const error = new ExportError(
      Code.UNAVAILABLE,
      `the brokers did not take the request: ${reason}`,
      retryAfterMs,
      {
        cause,
      },
    );
    for (const { reject } of batch) reject(error);
    // What it had numbered is in doubt, so that it would have others refused.
    const producer = this.#producer;
    this.#producer = undefined;
    await producer?.close().catch(() => {});
  }
}

/** Returns the records of what can be written, in order. */
async function divided(waiting: readonly Waiting[]): Promise<{ batch: Waiting[]; all: NewRecord[] }> {
  const batch: Waiting[] = [];
  const all: NewRecord[] = [];
  for (const each of waiting) {
    try {
      const records = await each.records;
      if (records.length === 0) each.resolve();
      else batch.push(each);
      all.push(...records);
    } catch (error) {
      each.reject(error as Error);
    }
  }
  return { batch, all };
}

/** Returns a request in pieces that brokers take well, unless single records are larger. */
export async function pieces(signal: Signal, request: Buffer): Promise<Buffer[]> {
  if (request.length <= batchBytes) return [request];
  return (await native.split(signal, request, batchBytes)) ?? [request];
}

const malformed = (signal: Signal) =>
  new ExportError(Code.INVALID_ARGUMENT, `the request is not a valid request of ${signal}`);
