/** What operators do with the topics of an installation. */
import type { Config, KafkaConfig } from "../config/schema.ts";
import { type Admin, earliest, Kafka, latest, reasonOf } from "./client.ts";
import { forgetting, ownerRecord, readState } from "./state.ts";
import { createTopics, faultText, groupName, topicFaults, topicName } from "./topics.ts";

async function withKafka<T>(
  { brokers, ...config }: KafkaConfig,
  work: (kafka: Kafka, admin: Admin) => Promise<T>,
): Promise<T> {
  const kafka = await Kafka.load({ brokers, ...config });
  const admin = kafka.admin();
  try {
    return await work(kafka, admin);
  } catch (error) {
    throw new Error(`kafka.brokers ${brokers.join(", ")}: ${reasonOf(error)}`, { cause: error });
  } finally {
    await admin.close();
  }
}

/** Creates the topics, or sets their settings. @returns what was done, a line each. */
export function initTopics({ kafka }: Config): Promise<string[]> {
  return withKafka(kafka, (_, admin) => createTopics(admin, kafka));
}

/** Returns what keeps the topics from being used, a sentence each. */
export function checkTopics({ kafka }: Config): Promise<string[]> {
  return withKafka(kafka, async (_, admin) => (await topicFaults(admin, kafka)).map(faultText));
}

export interface PartitionStatus {
  partition: number;
  /** Undefined if it has never been judged. */
  judged: bigint | undefined;
  /** The number of offsets in `in` that are not judged yet. */
  lag: bigint;
  /** The offset of the checkpoint; undefined if there is none. */
  checkpoint: bigint | undefined;
}

export interface Status {
  faults: string[];
  workers: number;
  partitions: PartitionStatus[];
}

export function readStatus({ kafka: config }: Config): Promise<Status> {
  return withKafka(config, async (kafka, admin) => {
    const faults = await topicFaults(admin, config);
    const usable = faults.every(({ kind }) => kind === "settings");
    return {
      faults: faults.map(faultText),
      workers: await admin.members(groupName(config, "worker")),
      partitions: usable ? await partitionStates(kafka, config) : [],
    };
  });
}

async function partitionStates(kafka: Kafka, config: KafkaConfig): Promise<PartitionStatus[]> {
  const all = Array.from({ length: config.partitions }, (_, i) => i);
  const reader = kafka.reader(topicName(config, "in"));
  try {
    const starts = await reader.offsets(all, earliest);
    const ends = await reader.offsets(all, latest);
    const states: PartitionStatus[] = [];
    for (const partition of all) {
      const place = { topic: topicName(config, "state"), partition };
      const { progress, checkpoint } = await readState(kafka, place);
      const judged = progress?.offset;
      const lag = ends.get(partition)! - (judged ?? starts.get(partition)!);
      states.push({ partition, judged, lag, checkpoint: checkpoint?.offset });
    }
    return states;
  } finally {
    await reader.close();
  }
}

/** Lets all partitions learn again, from where they are. What runs meanwhile is fenced, and begins with what it finds. */
export function resetState({ kafka: config }: Config): Promise<number> {
  return withKafka(config, async (kafka) => {
    const all = Array.from({ length: config.partitions }, (_, i) => i);
    const reader = kafka.reader(topicName(config, "in"));
    const starts = await reader.offsets(all, earliest).finally(() => reader.close());
    for (const partition of all) {
      const place = { topic: topicName(config, "state"), partition };
      const transactor = kafka.transactor(`${groupName(config, "worker")}-${partition}`);
      try {
        const fence = ownerRecord(place, "reset-state");
        await transactor.commit([fence]);
        const state = await readState(kafka, place, fence);
        await transactor.commit(forgetting(place, state, starts.get(partition)!));
      } finally {
        await transactor.close();
      }
    }
    return all.length;
  });
}
