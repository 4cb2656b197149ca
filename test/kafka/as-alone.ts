/** Compares what workers have left with what one process makes of the same log. */
import { expect } from "vitest";
import type { LogRecord, NewRecord } from "../../src/kafka/client.ts";
import type { Installation } from "./installation.ts";

const essence = ({ partition, key, value, headers }: LogRecord | NewRecord) => [
  partition,
  key.toString(),
  headers instanceof Map ? Object.fromEntries(headers) : headers,
  value?.toString("base64"),
];
const sorted = (records: unknown[]) => records.map((each) => JSON.stringify(each)).sort();

/** What the workers of an installation have left is what one process makes of the same log, bit for bit. */
export async function expectAsAlone(tried: Installation): Promise<void> {
  const alone = await tried.judgeAlone();
  const of = (topic: string) => alone.filter((record) => record.topic === topic);
  // What is in one partition of `out` comes from one partition of `in`, in its order.
  const byPartition = (records: (LogRecord | NewRecord)[]) =>
    tried.partitions.map((number) => records.filter(({ partition }) => partition === number).map(essence));
  expect(byPartition(await tried.read("out"))).toEqual(byPartition(of("out")));
  const found = await tried.read("anomalies");
  expect(sorted(found.map(essence))).toEqual(sorted(of("anomalies").map(essence)));
  expect(found.filter(({ headers }) => headers.get("kind") === "anomaly").length).toBeGreaterThan(3);
}
