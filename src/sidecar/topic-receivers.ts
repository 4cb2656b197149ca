/** Receives the requests that others have written to topics of `receive.kafka`. */
import type { Config } from "../config/schema.ts";
import { type Group, type Kafka, startReceiving, type TopicHooks } from "../kafka/index.ts";
import { Code, type Consumer, ExportError } from "../otlp/protocol.ts";
import { JsonReader, type ReceiveHooks } from "../receive/index.ts";
import type { Logger } from "../telemetry/log.ts";

interface Parts {
  kafka: Kafka;
  config: Config;
  /** Resolves once the request is where it cannot be lost. */
  consumer: Consumer;
  /** @throws {ExportError} if a tenant exceeds its limits for now. */
  admit(tenant: string): void;
  hooks: ReceiveHooks;
  topicHooks: TopicHooks;
  log: Logger;
}

type Topic = Config["receive"]["kafka"]["topics"][number];

export interface TopicReceivers {
  /** One of each topic. */
  groups: readonly Group[];
  /** Completes what was begun, and leaves the rest to other processes. */
  close(): Promise<void>;
}

/** @throws {Error} that names the key and the remedy if a topic does not exist. */
export async function startTopicReceivers(parts: Parts): Promise<TopicReceivers> {
  const { kafka, config, log } = parts;
  const { topics } = config.receive.kafka;
  await checkTopics(kafka, topics);
  const json = new JsonReader();
  const groups = topics.map((topic) => {
    const reading = { json, order: new InOrder() };
    return startReceiving({
      kafka,
      config: config.kafka,
      topic: topic.topic,
      take: (message) => take(parts, reading, topic, message),
      hooks: parts.topicHooks,
      log,
    });
  });
  return {
    groups,
    async close() {
      await Promise.all(groups.map((group) => group.close()));
      json.close();
    },
  };
}

async function checkTopics(kafka: Kafka, topics: readonly Topic[]): Promise<void> {
  if (topics.length === 0) return;
  const admin = kafka.admin();
  const names = topics.map(({ topic }) => topic);
  const found = await admin.describe(names, ["retention.ms"]).finally(() => admin.close());
  const missing = names.findIndex((name) => !found.has(name));
  if (missing < 0) return;
  throw new Error(
    `receive.kafka.topics[${missing}].topic: the topic ${names[missing]} does not exist at kafka.brokers; create it, or correct the name`,
  );
}

/** Hands bodies over in the order of messages, however long each takes to read. */
class InOrder {
  #last: Promise<unknown> = Promise.resolve();

  /** Resolves as `body` does, after those of earlier calls. */
  next<T>(body: Promise<T>): Promise<T> {
    body.catch(() => {});
    const turn = this.#last.then(() => body);
    this.#last = turn.catch(() => {});
    return turn;
  }
}

async function take(
  parts: Parts,
  { json, order }: { json: JsonReader; order: InOrder },
  topic: Topic,
  message: Buffer,
): Promise<void> {
  const { consumer, admit, hooks, config } = parts;
  const { signal, tenant, encoding } = topic;
  const { max_request_size: most } = config.receive.limits;
  const since = performance.now();
  let code: Code = Code.OK;
  let body = message;
  try {
    admit(tenant);
    if (message.length > most) {
      throw new ExportError(
        Code.RESOURCE_EXHAUSTED,
        `the message of ${message.length} bytes is larger than receive.limits.max_request_size (${most})`,
      );
    }
    if (encoding === "otlp_json") {
      body = await order.next(json.read(signal, message, withinMemory(config.receive)));
    }
    await consumer({ signal, tenant, body, abort: new AbortController().signal, count() {}, release() {} });
  } catch (error) {
    code = error instanceof ExportError ? error.code : Code.INTERNAL;
    throw error;
  } finally {
    const seconds = (performance.now() - since) / 1_000;
    hooks.onRequest({
      signal,
      transport: "kafka",
      code,
      wireBytes: message.length,
      bytes: body.length,
      seconds,
    });
  }
}

/** Refuses what would not be held of a request that comes from a sender either. */
const withinMemory = ({ limits }: Config["receive"]) => ({
  hold(bytes: number): void {
    if (bytes <= limits.max_inflight_size) return;
    throw new ExportError(
      Code.RESOURCE_EXHAUSTED,
      `the message needs ${bytes} bytes of memory, more than receive.limits.max_inflight_size (${limits.max_inflight_size})`,
    );
  },
});
