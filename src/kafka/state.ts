/** The topic `state`: what a worker must know to take a partition over. Its latest record of each key counts. */
import { randomUUID } from "node:crypto";
import { earliest, type Kafka, type LogRecord, latest, type NewRecord } from "./client.ts";

/** How far a partition has been judged. It is part of each transaction, so that it is true of all that the others hold. */
export interface Progress {
  /** The offset of the first record in `in` that was not judged. */
  offset: bigint;
  /** The offset as of which statistics were last reported. */
  toldAt: bigint;
}

/** What belongs to a checkpoint beside what the engine has learned. */
export interface Checkpoint {
  /** The offset of the first record that the state does not include. */
  offset: bigint;
  /** The number of the format of what the engine has learned. */
  format: number;
  /** The settings that it depends on, by key. */
  settings: Record<string, unknown>;
  /** The clock of the partition and what else a replay needs, as its owner wrote it. */
  clock: unknown;
  /** False if nothing had been judged yet. */
  hasLearned: boolean;
}

// The engine's own keys begin with letters.
const progressKey = Buffer.from("!progress");
const checkpointKey = Buffer.from("!checkpoint");
const ownerKey = Buffer.from("!owner");

const isOwn = (key: Buffer) => key[0] === 0x21;

export interface PartitionState {
  /** Undefined if the partition has never been judged. */
  progress: Progress | undefined;
  /** Undefined if there is none yet, or its owner was told to learn again. */
  checkpoint: Checkpoint | undefined;
  /** What the engine has learned. */
  learned: { key: Buffer; value: Buffer }[];
}

export interface Place {
  topic: string;
  partition: number;
}

export const progressRecord = (place: Place, { offset, toldAt }: Progress): NewRecord => ({
  ...place,
  key: progressKey,
  value: Buffer.from(JSON.stringify({ offset: String(offset), toldAt: String(toldAt) })),
});

export const checkpointRecord = (place: Place, { offset, ...rest }: Checkpoint): NewRecord => ({
  ...place,
  key: checkpointKey,
  value: Buffer.from(JSON.stringify({ offset: String(offset), ...rest })),
});

/** The record whose transaction fences the former owner. No two are equal. */
export const ownerRecord = (place: Place, owner: string): NewRecord => ({
  ...place,
  key: ownerKey,
  value: Buffer.from(`${owner} ${randomUUID()}`),
});

/** What of a partition may be read at once. */
const fetchBytes = 8 * 2 ** 20;
const waitMs = 500;
/** How long a record that was committed may take to become visible. */
const visibleMs = 30_000;

/**
 * Reads the whole state of a partition as it is committed now.
 * @param owner the record that the reader has committed before: what brokers say of the end of a partition may be some seconds old after
 * they were restarted, so that it is read at least up to this.
 * @throws {Error} if that does not become visible.
 */
export async function readState(
  kafka: Kafka,
  { topic, partition }: Place,
  owner?: NewRecord,
): Promise<PartitionState> {
  const records = new Map<string, LogRecord>();
  for await (const record of readAll(kafka, topic, partition, owner)) {
    const name = record.key.toString("latin1");
    if (record.value === null) records.delete(name);
    else records.set(name, record);
  }
  const text = (key: Buffer) => records.get(key.toString("latin1"))?.value?.toString();
  const learned = [...records.values()].filter(({ key }) => !isOwn(key));
  return {
    progress: parseProgress(text(progressKey)),
    checkpoint: parseCheckpoint(text(checkpointKey)),
    learned: learned.map(({ key, value }) => ({ key, value: value! })),
  };
}

async function* readAll(
  kafka: Kafka,
  topic: string,
  partition: number,
  owner: NewRecord | undefined,
): AsyncGenerator<LogRecord> {
  const reader = kafka.reader(topic);
  const isOwner = ({ key, value }: LogRecord) =>
    owner !== undefined && key.equals(owner.key) && value?.equals(owner.value!) === true;
  try {
    let at = (await reader.offsets([partition], earliest)).get(partition)!;
    const end = (await reader.offsets([partition], latest)).get(partition)!;
    const deadline = performance.now() + visibleMs;
    for (let seen = owner === undefined; at < end || !seen; ) {
      const found = await reader.fetch(new Map([[partition, at]]), { waitMs, bytes: fetchBytes });
      const { records, next } = found.get(partition) ?? { records: [], next: at };
      yield* records;
      seen ||= records.some(isOwner);
      if (next === at && performance.now() > deadline) {
        throw new Error("what was committed to the topic state does not become visible");
      }
      at = next;
    }
  } finally {
    await reader.close();
  }
}

function parseProgress(text: string | undefined): Progress | undefined {
  if (text === undefined) return undefined;
  const { offset, toldAt } = JSON.parse(text);
  return { offset: BigInt(offset), toldAt: BigInt(toldAt) };
}

function parseCheckpoint(text: string | undefined): Checkpoint | undefined {
  if (text === undefined) return undefined;
  const { offset, ...rest } = JSON.parse(text);
  return { offset: BigInt(offset), ...rest };
}

/**
 * Returns the records that let a partition learn again from where it is, or from where `in` begins if that is later.
 * @param start the offset of the first record in `in`
 */
export function forgetting(place: Place, { progress, learned }: PartitionState, start: bigint): NewRecord[] {
  const offset = progress !== undefined && progress.offset > start ? progress.offset : start;
  return [
    ...learned.map(({ key }) => ({ ...place, key, value: null })),
    { ...place, key: checkpointKey, value: null },
    progressRecord(place, { offset, toldAt: offset }),
  ];
}
