/** Streams without anomalies over thirty days of event time: how many alarms are raised? */
import { Random } from "../../src/generate/random.ts";
import { text } from "../../src/generate/records.ts";
import { ShopTelemetry } from "../../src/generate/shop-telemetry.ts";
import type { Signal } from "../../src/otlp/protocol.ts";
import { Orders, rhythm } from "./orders.ts";
import { encodeLogs, encodeTraces } from "./requests.ts";
import { begun, engine } from "./spans.ts";

export const budgets = [1, 10, 100] as const;
export const days = 30;

export interface QuietResult {
  name: string;
  budget: number;
  streams: number;
  /** The number of distinct alarms of all streams. */
  alarms: number;
  /** The number of alarms of the stream with the most. */
  most: number;
  records: number;
  channels: Record<string, number>;
}

interface Part {
  signal: Signal;
  body: Buffer;
}

interface Source {
  name: string;
  streams: number;
  parts(): Iterable<Part>;
}

const start = Date.UTC(2026, 0, 5);
const end = start + days * 86_400_000;

function shop(signal: Signal, rate: number): () => Iterable<Part> {
  return () =>
    new ShopTelemetry({
      seed: `quality/quiet/${signal}`,
      startUnixNano: BigInt(start) * 1_000_000n,
      signals: [signal],
      rate,
      speed: 60,
      duration: end - start,
      recordsPerRequest: 100,
      schedule: [],
    }).batches();
}

const perRequest = 64;

/** Generates arrival times with a daily rhythm. */
function* arrivals(random: Random, gapMs: number): Generator<number> {
  for (let time = start; time < end; time += random.exponential(gapMs / rhythm(time))) yield time;
}

function* orderTraces(): Generator<Part> {
  const orders = new Orders("quiet/orders");
  let spans: ReturnType<Orders["visit"]>["spans"] = [];
  for (const time of arrivals(new Random("quiet/orders/arrivals"), 60_000)) {
    spans.push(...orders.visit(time).spans);
    if (spans.length < perRequest) continue;
    yield { signal: "traces", body: encodeTraces("orders", spans) };
    spans = [];
  }
}

/** Kinds of lines, from very common to one in thousands; new user names keep appearing. */
const kinds: ((random: Random) => string)[] = [
  (r) => `GET /api/orders/${r.int(1, 99_999)} 200 ${r.int(2, 90)}ms`,
  (r) => `cache hit for user-${r.hex(6)}`,
  (r) =>
    `login of ${r.pick(["anna", "ben", "chloe", "dan"])}${r.int(1, 4_000)} from 10.0.${r.int(0, 255)}.${r.int(1, 254)}`,
  (r) => `flushed ${r.int(10, 5_000)} events to partition ${r.int(0, 15)}`,
  (r) =>
    `slow query: ${r.int(500, 3_000)} ms, SELECT * FROM ${r.pick(["orders", "items", "stock"])} WHERE id = ${r.int(1, 99_999)}`,
  () => "connection pool grew to its limit",
  (r) => `retrying upload of report-${r.hex(8)}.pdf, attempt ${r.int(2, 4)}`,
  (r) => `certificate for ${r.pick(["a", "b", "c"])}.example.com renewed`,
  (r) => `rejected token of client ${r.uuid()}: expired`,
  (r) => `compaction of segment ${r.int(1, 999)} done in ${r.int(1, 40)} s`,
];

export function kindOf(random: Random): (random: Random) => string {
  // Each kind is a third as frequent as the one before.
  let at = 0;
  while (at < kinds.length - 1 && random.chance(1 / 3)) at++;
  return kinds[at]!;
}

function* rhythmicLogs(): Generator<Part> {
  const random = new Random("quiet/rhythm");
  let logRecords: { timeUnixNano: bigint; body: ReturnType<typeof text> }[] = [];
  for (const time of arrivals(new Random("quiet/rhythm/arrivals"), 20_000)) {
    logRecords.push({
      timeUnixNano: BigInt(Math.round(time)) * 1_000_000n,
      body: text(kindOf(random)(random)),
    });
    if (logRecords.length < perRequest) continue;
    yield { signal: "logs", body: encodeLogs("rhythm", logRecords) };
    logRecords = [];
  }
}

const sources: Source[] = [
  // Rates are per second of wall time; one such second is a minute of stream time.
  { name: "shop logs", streams: 5, parts: shop("logs", 6) },
  { name: "shop traces", streams: 5, parts: shop("traces", 6) },
  { name: "shop metrics", streams: 0, parts: shop("metrics", 5) },
  { name: "traces with a daily rhythm", streams: 1, parts: orderTraces },
  { name: "logs with a daily rhythm", streams: 1, parts: rhythmicLogs },
];

async function quiet({ name, parts }: Source): Promise<QuietResult[]> {
  const engines = budgets.map((budget) => ({
    budget,
    judging: engine(budget),
    alarms: new Map<string, number>(),
  }));
  const results = engines.map(({ budget }) => ({
    name,
    budget,
    streams: 0,
    alarms: 0,
    most: 0,
    records: 0,
    channels: {} as Record<string, number>,
  }));
  for (const { signal, body } of parts()) {
    const outcomes = await Promise.all(
      engines.map(({ judging }) => judging.process(signal, "default", body)),
    );
    outcomes.forEach((outcome, i) => {
      results[i]!.records += outcome.records;
      for (const { stream, channel } of begun(outcome)) {
        const { alarms } = engines[i]!;
        alarms.set(stream, (alarms.get(stream) ?? 0) + 1);
        results[i]!.channels[channel] = (results[i]!.channels[channel] ?? 0) + 1;
      }
    });
  }
  for (const [i, { judging, alarms }] of engines.entries()) {
    const counts = [...alarms.values()];
    results[i]!.streams = judging.stats().streams;
    results[i]!.alarms = counts.reduce((sum, count) => sum + count, 0);
    results[i]!.most = Math.max(0, ...counts);
    await judging.close();
  }
  return results;
}

export async function quietResults(): Promise<QuietResult[]> {
  const results: QuietResult[] = [];
  for (const source of sources) results.push(...(await quiet(source)));
  return results;
}
