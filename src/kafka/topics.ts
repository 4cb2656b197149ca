/** The topics of an installation: their names and settings, and what differs from them on the brokers. */
import { setTimeout as sleep } from "node:timers/promises";
import type { KafkaConfig } from "../config/schema.ts";
import { type Admin, maxRecordBytes } from "./client.ts";

export const topicKinds = ["in", "out", "anomalies", "statistics", "state"] as const;
export type TopicKind = (typeof topicKinds)[number];

export const topicName = ({ topic_prefix }: Pick<KafkaConfig, "topic_prefix">, kind: TopicKind): string =>
  `${topic_prefix}${kind}`;

/** The consumer group of a role, which is also what the names of its transactions begin with. */
export const groupName = ({ topic_prefix }: Pick<KafkaConfig, "topic_prefix">, role: string): string =>
  `${topic_prefix}${role}`;

/** The brokers count what surrounds a record as well. */
const recordRoom = 64 * 2 ** 10;
/** Brokers compact only segments that are full: small ones keep the topic small, and taking over quick. */
const stateSegmentBytes = 64 * 2 ** 20;

/** Returns the settings that a topic must have. */
export function topicSettings(
  { replication, retention }: KafkaConfig,
  kind: TopicKind,
): ReadonlyMap<string, string> {
  const compacted = kind === "state";
  return new Map([
    ["cleanup.policy", compacted ? "compact" : "delete"],
    ["max.message.bytes", String(maxRecordBytes + recordRoom)],
    ["min.insync.replicas", String(Math.max(1, replication - 1))],
    ...(compacted
      ? ([
          ["segment.bytes", String(stateSegmentBytes)],
          ["min.cleanable.dirty.ratio", "0.2"],
        ] as const)
      : ([["retention.ms", String(retention)]] as const)),
  ]);
}

/** What is wrong with a topic. */
export type Fault =
  | { topic: string; kind: "missing" }
  | { topic: string; kind: "partitions"; partitions: number; wanted: number }
  | {
      topic: string;
      kind: "settings";
      settings: ReadonlyMap<string, string>;
      values: ReadonlyMap<string, string>;
    };

/** Returns what is wrong with the topics on the brokers; nothing if they can be used. */
export async function topicFaults(admin: Admin, config: KafkaConfig): Promise<Fault[]> {
  const wanted = topicKinds.map((kind) => [topicName(config, kind), topicSettings(config, kind)] as const);
  const names = [...new Set(wanted.flatMap(([, settings]) => [...settings.keys()]))];
  const found = await admin.describe(
    wanted.map(([topic]) => topic),
    names,
  );
  return wanted.flatMap(([topic, settings]): Fault[] => {
    const state = found.get(topic);
    if (state === undefined) return [{ topic, kind: "missing" }];
    if (state.partitions !== config.partitions) {
      return [{ topic, kind: "partitions", partitions: state.partitions, wanted: config.partitions }];
    }
    const different = [...settings].filter(([name, value]) => state.settings.get(name) !== value);
    return different.length === 0
      ? []
      : [{ topic, kind: "settings", settings: new Map(different), values: state.settings }];
  });
}

/** Says what is wrong, with the remedy. */
export function faultText(fault: Fault): string {
  const { topic } = fault;
  switch (fault.kind) {
    case "missing":
      return `the topic ${topic} does not exist; create it with \`driftlock kafka init\``;
    case "partitions":
      return `the topic ${topic} has ${fault.partitions} partitions and kafka.partitions is ${fault.wanted}; set kafka.partitions to ${fault.partitions}, or choose another kafka.topic_prefix`;
    case "settings": {
      const changes = [...fault.settings].map(
        ([name, value]) => `${name} is ${fault.values.get(name)} and should be ${value}`,
      );
      return `the settings of the topic ${topic} differ: ${changes.join(", ")}; \`driftlock kafka init\` sets them`;
    }
  }
}

/** How long brokers may take to show one another what was created or set. */
const visibleMs = 30_000;

/**
 * Creates the topics that are missing, and sets the settings that differ. Resolves once the brokers show them so.
 * @returns what was done, a line each.
 * @throws {Error} if a topic has another number of partitions, before anything is changed, or if a change does not become visible.
 */
export async function createTopics(admin: Admin, config: KafkaConfig): Promise<string[]> {
  const faults = await topicFaults(admin, config);
  const fatal = faults.find(({ kind }) => kind === "partitions");
  if (fatal !== undefined) throw new Error(faultText(fatal));
  const done: string[] = [];
  for (const fault of faults) {
    const { topic } = fault;
    if (fault.kind === "missing") {
      const kind = topicKinds.find((each) => topicName(config, each) === topic)!;
      await admin.create(topic, config.partitions, config.replication, topicSettings(config, kind));
      done.push(`created ${topic}`);
    } else if (fault.kind === "settings") {
      await admin.set(topic, fault.settings);
      done.push(`set ${[...fault.settings.keys()].join(", ")} of ${topic}`);
    }
  }
  if (done.length > 0) await untilUsable(admin, config);
  return done;
}

async function untilUsable(admin: Admin, config: KafkaConfig): Promise<void> {
  for (const deadline = performance.now() + visibleMs; ; await sleep(100)) {
    const faults = await topicFaults(admin, config).catch((error: Error) => error);
    if (Array.isArray(faults) && faults.length === 0) return;
    if (performance.now() < deadline) continue;
    throw Array.isArray(faults) ? new Error(faultText(faults[0]!)) : faults;
  }
}
