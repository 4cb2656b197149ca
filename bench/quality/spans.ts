/**
 * Traces with a tenfold latency, a new error status, a missing child or a wrong parent: are they found at the default
 * budget?
 */
import { mkdir, writeFile } from "node:fs/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { configSchema } from "../../src/config/schema.ts";
import { Engine, type Judged } from "../../src/engine/index.ts";
import { type Anomaly, Channel, State } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { AnomalyName, Schedule } from "../../src/generate/anomalies.ts";
import { Random } from "../../src/generate/random.ts";
import { ShopTelemetry } from "../../src/generate/shop-telemetry.ts";
import { delimited } from "./log-sets.ts";
import { type Fault, faults, Orders, rhythm, type Visit } from "./orders.ts";
import { built } from "./places.ts";
import { type RankScore, rankScore, replay, writeScores } from "./programs.ts";
import { encodeTraces } from "./requests.ts";

const start = Date.UTC(2026, 0, 5);
const dayMs = 86_400_000;
/** Time after an altered trace within which a flag may still be about it: a missing span shows later. */
const afterMs = 600_000;

export interface Incidents {
  name: string;
  incidents: number;
  found: number;
  /** The number of distinct alarms that no incident explains. */
  falseAlarms: number;
  streamDays: number;
  /** The number of flags on incidents that each channel raised. */
  channels: Record<string, number>;
}

export function engine(budget?: number): Engine {
  const detect = budget === undefined ? {} : { budget: { per_stream_per_day: budget } };
  return new Engine(configSchema.parse({ detect }).detect, { mode: "all", scores: true });
}

const ms = (nanos: bigint) => Number(nanos / 1_000_000n);

/** First reports of anomalies; later ones describe how an anomaly continues. */
export function begun({ reports }: Judged): Anomaly[] {
  return reports
    .map(({ message }) => message)
    .filter(({ state, occurrence }) => state === State.OPEN && occurrence === 1n);
}

/** Generates the visits of one service, with altered ones at the given times. */
function* visits(
  seed: string,
  days: number,
  gapMs: number,
  altered: Map<number, Fault>,
): Generator<Visit & { fault?: Fault }> {
  const orders = new Orders(seed);
  const random = new Random(`${seed}/arrivals`);
  const due = [...altered].sort(([a], [b]) => a - b);
  for (let time = start; time < start + days * dayMs; time += random.exponential(gapMs / rhythm(time))) {
    const [next] = due;
    if (next && next[0] <= time) {
      due.shift();
      yield { ...orders.visit(time, next[1]), fault: next[1] };
    } else {
      yield orders.visit(time);
    }
  }
}

const days = 24;
const gapMs = 60_000;
const services = 3;
const visitsPerRequest = 16;

/** Altered traces so rare that the budget can carry each: one in two days per stream, from the third day on. */
export async function rareIncidents(fault: Fault): Promise<Incidents> {
  const result = {
    name: fault,
    incidents: 0,
    found: 0,
    falseAlarms: 0,
    streamDays: services * days,
    channels: {},
  };
  const judging = engine();
  try {
    for (let service = 0; service < services; service++) {
      const seed = `orders/${fault}/${service}`;
      const random = new Random(`${seed}/incidents`);
      const altered = new Map<number, Fault>();
      for (let time = start + 2 * dayMs; time < start + (days - 1) * dayMs; time += 2 * dayMs) {
        altered.set(time + random.uniform() * dayMs, fault);
      }
      await judgeVisits(judging, `orders-${service}`, visits(seed, days, gapMs, altered), result);
    }
  } finally {
    await judging.close();
  }
  return result;
}

async function judgeVisits(
  judging: Engine,
  service: string,
  all: Iterable<Visit & { fault?: Fault }>,
  result: Incidents,
): Promise<void> {
  const incidents: { time: number; found: boolean }[] = [];
  const alarms: number[] = [];
  const settle = async (batch: (Visit & { fault?: Fault })[]) => {
    const outcome = await judging.process(
      "traces",
      "default",
      encodeTraces(
        service,
        batch.flatMap(({ spans }) => spans),
      ),
    );
    let record = 0;
    for (const { time, fault, spans } of batch) {
      const incident = { time, found: false };
      for (let i = 0; i < spans.length; i++, record++) {
        if (outcome.scores![4 * record + 2] !== 1 || !fault) continue;
        if (!incident.found) count(result.channels, outcome.scores![4 * record + 3]!);
        incident.found = true;
      }
      if (fault) incidents.push(incident);
    }
    // A flag after the last record, such as one for a session that broke off, belongs to no record.
    for (const { message: anomaly } of outcome.reports) {
      if (anomaly.state !== State.OPEN) continue;
      const time = ms(anomaly.timeUnixNano);
      const incident = incidents.findLast((each) => each.time <= time + 1 && time <= each.time + afterMs);
      if (!anomaly.record && incident && !incident.found) {
        incident.found = true;
        count(result.channels, anomaly.channel);
      }
    }
    for (const { timeUnixNano } of begun(outcome)) alarms.push(ms(timeUnixNano));
  };
  let batch: (Visit & { fault?: Fault })[] = [];
  for (const visit of all) {
    batch.push(visit);
    if (batch.length < visitsPerRequest) continue;
    await settle(batch);
    batch = [];
  }
  await settle(batch);
  result.incidents += incidents.length;
  result.found += incidents.filter(({ found }) => found).length;
  result.falseAlarms += alarms.filter(
    (time) => !incidents.some((each) => each.time <= time + 1 && time <= each.time + afterMs),
  ).length;
}

function count(channels: Record<string, number>, channel: number): void {
  const name = Channel[channel]!.toLowerCase();
  channels[name] = (channels[name] ?? 0) + 1;
}

const shopKinds: AnomalyName[] = ["latency", "error-status", "missing-span"];
const incidentMs = 600_000;

/**
 * The synthetic shop: a trace passes through several services, each a stream; the missing span is another service's.
 */
async function shopIncidents(): Promise<Incidents[]> {
  const schedule: Schedule[] = [];
  for (let i = 0; 2 + 2 * i < days - 1; i++) {
    const at = (2 + 2 * i) * dayMs;
    schedule.push({ name: shopKinds[i % shopKinds.length]!, start: at, end: at + incidentMs });
  }
  const shop = new ShopTelemetry({
    seed: "quality/spans",
    startUnixNano: BigInt(start) * 1_000_000n,
    signals: ["traces"],
    rate: 0.15,
    speed: 1,
    duration: days * dayMs,
    recordsPerRequest: 100,
    schedule,
  });
  const streams = new Set<string>();
  const incidents = schedule.map(({ name, start: from, end }) => ({
    name,
    from: start + from,
    to: start + end + afterMs,
    records: 0,
    found: "",
  }));
  const at = (time: number) => incidents.find(({ from, to }) => from <= time && time <= to);
  const falseAlarms: Anomaly[] = [];
  const judging = engine();
  try {
    for (const { body, truths } of shop.batches()) {
      const outcome = await judging.process("traces", "default", body);
      const spans = truths.some(Boolean) ? spanTimes(body) : [];
      truths.forEach((truth, i) => {
        const incident = truth && at(spans[i]!);
        if (!incident) return;
        incident.records++;
        if (outcome.scores![4 * i + 2] === 1) incident.found ||= Channel[outcome.scores![4 * i + 3]!]!;
      });
      for (const { message: anomaly } of outcome.reports) {
        streams.add(anomaly.stream);
        if (anomaly.state !== State.OPEN) continue;
        const incident = at(ms(anomaly.timeUnixNano));
        if (!incident && anomaly.occurrence === 1n) falseAlarms.push(anomaly);
        // A flag within the incident's time counts in any stream: a missing span has no record to flag.
        if (incident) incident.found ||= Channel[anomaly.channel]!;
      }
    }
  } finally {
    await judging.close();
  }
  return shopKinds.map((kind) => {
    const of = incidents.filter(({ name, records }) => name === kind && records > 0);
    const channels: Record<string, number> = {};
    for (const { found } of of)
      if (found) channels[found.toLowerCase()] = (channels[found.toLowerCase()] ?? 0) + 1;
    return {
      name: `shop: ${kind}`,
      incidents: of.length,
      found: of.filter(({ found }) => found !== "").length,
      // The count is of all kinds together, because they are one stream of telemetry.
      falseAlarms: falseAlarms.length,
      streamDays: 5 * days,
      channels,
    };
  });
}

/** Returns the start times of a request's spans, in wire order. */
function spanTimes(body: Buffer): number[] {
  return fromBinary(ExportTraceServiceRequestSchema, body).resourceSpans.flatMap(({ scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) => spans.map(({ startTimeUnixNano }) => ms(startTimeUnixNano))),
  );
}

export interface DenseResult {
  name: Fault;
  /** The score by trace, which is that of its strangest span. */
  score: RankScore;
}

const denseVisits = 6_000;
const denseTrain = 1_000;
const denseGapMs = 200;

/**
 * Replays a recording of twenty minutes in which one trace of a hundred is altered: more than a budget of one per day
 * can cover.
 */
async function dense(fault: Fault): Promise<DenseResult> {
  const folder = `${built}/spans/${fault.replace(" ", "-")}`;
  await mkdir(folder, { recursive: true });
  const orders = new Orders(`dense/${fault}`);
  const random = new Random(`dense/${fault}/arrivals`);
  const lengths: number[] = [];
  const labels: number[] = [];
  const parts: Buffer[] = [];
  const rows: string[] = [];
  let time = start;
  let spans: Visit["spans"] = [];
  for (let i = 0; i < denseVisits; i++) {
    const altered = i >= denseTrain && random.chance(0.01);
    const visit = orders.visit(time, altered ? fault : undefined);
    time += random.exponential(denseGapMs);
    labels.push(altered ? 1 : 0);
    lengths.push(visit.spans.length);
    for (const span of visit.spans) {
      const duration = Number(span.endTimeUnixNano! - span.startTimeUnixNano!) / 1e6;
      rows.push(
        [i, span.name, span.kind, duration, span.status?.message ?? "", span.parentSpanId ? 0 : 1].join("\t"),
      );
    }
    spans.push(...visit.spans);
    if (spans.length < 100 && i < denseVisits - 1) continue;
    parts.push(delimited(encodeTraces("orders", spans)));
    spans = [];
  }
  await writeFile(`${folder}/input.otlp`, Buffer.concat(parts));
  // The peers read this file.
  await writeFile(`${folder}/spans.tsv`, rows.map((row) => `${row}\n`).join(""));
  await writeFile(`${folder}/labels`, labels.map((label) => `${label}\n`).join(""));

  const replayed = await replay(["--format", "otlp", "--signal", "traces", `${folder}/input.otlp`]);
  const lines = replayed.filter(({ kind }) => kind === "record");
  let record = 0;
  const traces = lengths.map((length) => {
    const own = lines.slice(record, record + length);
    record += length;
    return { score: Math.max(...own.map(({ score }) => score)), flagged: own.some(({ flagged }) => flagged) };
  });
  await writeScores(`${folder}/driftlock.jsonl`, traces);
  return { name: fault, score: await rankScore(`${folder}/labels`, `${folder}/driftlock.jsonl`, denseTrain) };
}

export interface SpanResults {
  rare: Incidents[];
  shop: Incidents[];
  dense: DenseResult[];
}

export async function spanResults(): Promise<SpanResults> {
  const rare: Incidents[] = [];
  const results: DenseResult[] = [];
  for (const fault of faults) {
    rare.push(await rareIncidents(fault));
    results.push(await dense(fault));
  }
  return { rare, shop: await shopIncidents(), dense: results };
}
