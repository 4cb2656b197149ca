/** The roles of an installation, as groups that share the partitions. */
import { availableParallelism, hostname } from "node:os";
import process from "node:process";
import type { Config, DetectConfig, KafkaConfig } from "../config/schema.ts";
import { Engine, EnginePool, fingerprintOf, snapshotSettings } from "../engine/index.ts";
import type { Exporter } from "../forward/index.ts";
import type { EnginePrivacy } from "../native.ts";
import type { Kafka, LogRecord, Member } from "./client.ts";
import { DeliveredPartition } from "./delivering.ts";
import { Engines } from "./engines.ts";
import { Group, type Log } from "./group.ts";
import type { TopicHooks, WorkerHooks } from "./hooks.ts";
import { inputOf } from "./messages.ts";
import { JudgedPartition } from "./partition.ts";
import { type Keeper, StoredPartition } from "./storing.ts";
import { topicName } from "./topics.ts";

export const kafkaRoles = ["router", "worker", "forward", "sink", "api"] as const;
export type KafkaRole = (typeof kafkaRoles)[number];

interface WorkerParts {
  kafka: Kafka;
  config: Config;
  /** The secret of the engine's hashes, which all workers share. */
  key: Uint8Array;
  privacy: EnginePrivacy;
  hooks: WorkerHooks;
  log: Log;
}

/**
 * The settings of the engine of one partition. Each partition has its share of the streams, so that what is evicted does not depend on
 * who has which partitions. Budgets of tenants and of the process would couple partitions.
 */
export function partitionSettings(detect: DetectConfig, { partitions }: KafkaConfig): DetectConfig {
  return {
    ...detect,
    threads: 1,
    max_streams: Math.ceil(detect.max_streams / partitions),
    budget: { ...detect.budget, per_tenant_per_day: 0, per_process_per_day: 0 },
  };
}

/** The most threads that a pool can have. */
const maxThreads = 64;

export interface Worker {
  group: Group;
  /** The engines of all partitions together. */
  engines: Engines;
}

/** Judges the partitions of `in` that the group of workers gives to this process. */
export function startWorker({ kafka, config, key, privacy, hooks, log }: WorkerParts): Worker {
  const detect = partitionSettings(config.detect, config.kafka);
  const streams = config.limits.streams;
  // A worker may have any number of partitions, each with an engine, and uses each processor once.
  const pool = new EnginePool(Math.min(maxThreads, availableParallelism()));
  const makeEngine = () =>
    new Engine(detect, {
      mode: config.forward.mode,
      streamsPerTenant: streams && Math.ceil(streams / config.kafka.partitions),
      privacy,
      llm: config.llm,
      key,
      // Records are handed over and never touched again.
      readInPlace: true,
      recordings: true,
      pool,
    });
  const engines = new Engines();
  const parts = {
    kafka,
    config: config.kafka,
    makeEngine,
    engines,
    settings: snapshotSettings(detect, fingerprintOf(key)),
    owner: `${hostname()} ${process.pid}`,
    hooks,
    log,
  };
  const makeTask = (partition: number) => new JudgedPartition(partition, parts);
  const topic = topicName(config.kafka, "in");
  const group = new Group({ kafka, config: config.kafka, topic, role: "worker", makeTask, hooks, log });
  return { group, engines };
}

interface ForwardingParts {
  kafka: Kafka;
  config: KafkaConfig;
  exporter: Pick<Exporter, "export">;
  hooks: TopicHooks;
  log: Log;
}

/** Delivers the partitions of `out` that the group of forwarders gives to this process. */
export function startForwarding({ kafka, config, exporter, hooks, log }: ForwardingParts): Group {
  const topic = topicName(config, "out");
  const deliver = async (record: LogRecord) => {
    const input = inputOf(record);
    if (input?.kind !== "data") return;
    await exporter.export(input.signal, input.body, new AbortController().signal);
  };
  const parts = { kafka, deliver, done: "delivered", hooks, log };
  const makeTask = (partition: number, member: Member) =>
    new DeliveredPartition({ topic, partition }, member, parts);
  return new Group({ kafka, config, topic, role: "forward", makeTask, hooks, log });
}

interface ReceivingParts {
  kafka: Kafka;
  config: KafkaConfig;
  /** A topic that others fill. */
  topic: string;
  /** Takes the value of a record. @throws {ExportError} if it is refused, or is to be handed over again later. */
  take(message: Buffer): Promise<unknown>;
  hooks: TopicHooks;
  log: Log;
}

/** Receives the partitions of a topic that the group of routers gives to this process. */
export function startReceiving({ kafka, config, topic, take, hooks, log }: ReceivingParts): Group {
  const deliver = async ({ value }: LogRecord) => value && take(value);
  const parts = { kafka, deliver, done: "received", hooks, log };
  const makeTask = (partition: number, member: Member) =>
    new DeliveredPartition({ topic, partition }, member, parts);
  return new Group({ kafka, config, topic, role: `receive-${topic}`, makeTask, hooks, log });
}

interface StoringParts {
  kafka: Kafka;
  config: KafkaConfig;
  topic: "anomalies" | "statistics";
  /** Makes who stores one partition. */
  makeKeeper(place: { topic: string; partition: number }): Keeper;
  hooks: TopicHooks;
  log: Log;
}

/** Hands the partitions of a topic that the group of sinks gives to this process to whoever stores them. */
export function startStoring(parts: StoringParts): Group {
  const { kafka, config, topic, makeKeeper, hooks, log } = parts;
  const name = topicName(config, topic);
  const makeTask = (partition: number) =>
    new StoredPartition(partition, makeKeeper({ topic: name, partition }), parts);
  return new Group({ kafka, config, topic: name, role: `sink-${topic}`, makeTask, hooks, log });
}
