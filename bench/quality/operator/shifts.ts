/** Shifts of many spans: one operation of a service becomes slower, fails more often, or is called more or less often. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  Span_SpanKind,
  type SpanSchema,
  Status_StatusCode,
} from "../../../src/gen/opentelemetry/proto/trace/v1/trace_pb.js";
import { Random } from "../../../src/generate/random.ts";
import { keyValues } from "../../../src/generate/records.ts";
import type { Row } from "../../table.ts";
import { parallel } from "../parallel.ts";
import { encodeTraces } from "../requests.ts";
import { Operator, tally } from "./alarms.ts";

const start = Date.UTC(2026, 0, 5, 9);
const minute = 60_000;
/** The minutes before the fault, those in which quiet ones are counted, and those of the fault. */
const past = 10;
const quietMinutes = 5;
const faultMinutes = 3;
const seeds = Number(process.env.SEEDS ?? 20);

const operations = [
  { name: "GET /cart", share: 0.4, ms: 20, errors: 0.005 },
  { name: "POST /cart", share: 0.2, ms: 35, errors: 0.01 },
  { name: "GET /products/{id}", share: 0.25, ms: 8, errors: 0.002 },
  { name: "POST /checkout", share: 0.1, ms: 120, errors: 0.02 },
  { name: "GET /recommendations", share: 0.05, ms: 60, errors: 0.01 },
];
type Kind = "delay" | "errors" | "rate" | "none";

interface Fault {
  kind: Kind;
  operation: number;
  /** How many times as slow or as frequent, or the share of errors. */
  size: number;
}

function* spansOf(seed: string, minutes: number, from: number, fault: Fault) {
  const random = new Random(seed);
  const perSecond = random.pick([5, 15]);
  for (let time = start; time < start + minutes * minute; time += random.exponential(1_000 / perSecond)) {
    const faulty = time >= start + from * minute && time < start + (from + faultMinutes) * minute;
    let at = random.uniform();
    let chosen = 0;
    while (chosen < operations.length - 1 && at >= operations[chosen]!.share)
      at -= operations[chosen++]!.share;
    const own = faulty && fault.operation === chosen;
    let copies = 1;
    if (own && fault.kind === "rate") {
      copies = Math.floor(fault.size) + (random.chance(fault.size % 1) ? 1 : 0);
    }
    for (let copy = 0; copy < copies; copy++) {
      const { name, ms, errors } = operations[chosen]!;
      const duration = random.logNormal(ms, 0.5) * (own && fault.kind === "delay" ? fault.size : 1);
      const failed = random.chance(own && fault.kind === "errors" ? fault.size : errors);
      yield { time, name, duration, failed, random };
    }
  }
}

interface Result {
  kind: Kind;
  minutes: number;
  alarmed: number;
  channels: string[];
}

async function run(kind: Kind, seed: number): Promise<{ fault: Result; quiet: Result }> {
  const random = new Random(`shifts/${kind}/${seed}/fault`);
  const fault: Fault = {
    kind,
    operation: random.int(0, 3),
    size:
      kind === "delay"
        ? random.pick([2, 3, 5])
        : kind === "errors"
          ? random.pick([0.2, 0.4, 0.6])
          : random.pick([0.25, 4]),
  };
  const from = past + quietMinutes;
  // An anomaly says when it ended after five quiet minutes.
  const total = from + faultMinutes + 7;
  const operator = new Operator();
  let batch: MessageInitShape<typeof SpanSchema>[] = [];
  let sent = start;
  for (const { time, name, duration, failed, random } of spansOf(
    `shifts/${kind}/${seed}`,
    total,
    from,
    kind === "none" ? { ...fault, operation: -1 } : fault,
  )) {
    const end = time + duration;
    batch.push({
      traceId: random.bytes(16),
      spanId: random.bytes(8),
      name,
      kind: Span_SpanKind.SERVER,
      startTimeUnixNano: BigInt(Math.round(time * 1_000)) * 1_000n,
      endTimeUnixNano: BigInt(Math.round(end * 1_000)) * 1_000n,
      attributes: keyValues({ "http.response.status_code": failed ? 500 : 200 }),
      ...(failed && { status: { code: Status_StatusCode.ERROR } }),
    });
    if (time - sent < 1_000) continue;
    await operator.process("traces", encodeTraces("shop", batch));
    batch = [];
    sent = time;
  }
  await operator.close();
  const alarmed = (first: number, count: number) =>
    Array.from({ length: count }, (_, i) => start + (first + i) * minute).filter((begin) =>
      // What is said of a minute may be said at its end.
      operator.alarms.some(({ from, to }) => from < begin + minute + 5_000 && to >= begin + 5_000),
    ).length;
  const channels = operator.alarms
    .filter(({ to }) => to >= start + from * minute)
    .map(({ channel }) => channel);
  return {
    fault: { kind, minutes: faultMinutes, alarmed: alarmed(from, faultMinutes), channels },
    quiet: { kind: "none", minutes: quietMinutes, alarmed: alarmed(past, quietMinutes), channels: [] },
  };
}

export async function shifts(): Promise<Row[]> {
  const jobs = (["delay", "errors", "rate"] as const).flatMap((kind) =>
    Array.from({ length: seeds }, (_, seed) => ({ kind, seed })),
  );
  const results = await parallel(jobs, 2, ({ kind, seed }) => run(kind, seed));
  const row = (name: string, of: Result[]): Row => {
    const minutes = of.reduce((sum, each) => sum + each.minutes, 0);
    const alarmed = of.reduce((sum, each) => sum + each.alarmed, 0);
    return {
      minutes: name,
      count: minutes,
      "with an alarm": alarmed,
      share: (alarmed / minutes).toFixed(3),
      "found by": tally(
        of.flatMap(({ channels }) => channels),
        (name) => name,
      ),
    };
  };
  const faults = results.map(({ fault }) => fault);
  return [
    ...(["delay", "errors", "rate"] as const).map((kind) =>
      row(
        kind,
        faults.filter((each) => each.kind === kind),
      ),
    ),
    row("all faults", faults),
    row(
      "quiet",
      results.map(({ quiet }) => quiet),
    ),
  ];
}
