/** Where the reading of a partition begins. */
import { earliest, type Kafka } from "./client.ts";
import type { Log } from "./group.ts";
import type { Place } from "./state.ts";

/** Returns the offset of the first record that the brokers still have. */
export async function startOf(kafka: Kafka, { topic, partition }: Place): Promise<bigint> {
  const reader = kafka.reader(topic);
  try {
    return (await reader.offsets([partition], earliest)).get(partition)!;
  } finally {
    await reader.close();
  }
}

/**
 * Returns where to go on, which is where the partition begins if that is later, and says so.
 * @param doneTo the offset of the first record that is not done; undefined if nothing was ever done
 * @param done what is done with records, such as "stored"
 */
export async function resumeAt(
  kafka: Kafka,
  place: Place,
  { doneTo, done, log }: { doneTo: bigint | undefined; done: string; log: Log },
): Promise<bigint> {
  const start = await startOf(kafka, place);
  if (doneTo === undefined || doneTo >= start) return doneTo ?? start;
  log.warn(
    { ...place, missed: String(start - doneTo) },
    `kafka: records were deleted before they were ${done}; raise kafka.retention`,
  );
  return start;
}
