/**
 * Histograms and summaries through the running sidecar: their shape is judged independently of their mean and count.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import pino from "pino";
import { afterEach, describe, expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { type Anomaly, Channel, State } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { ExportMetricsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import {
  AggregationTemporality,
  type Metric,
  type MetricSchema,
} from "../../src/gen/opentelemetry/proto/metrics/v1/metrics_pb.js";
import { startSidecar } from "../../src/sidecar/index.ts";
import { random } from "../engine/requests.ts";
import { startDownstream } from "../forward/downstream.ts";

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function running() {
  const downstream = await startDownstream("grpc");
  open.push(downstream.close);
  const data_dir = mkdtempSync(join(tmpdir(), "driftlock-shapes-"));
  open.push(async () => rmSync(data_dir, { recursive: true, force: true }));
  const anyPort = { endpoint: "127.0.0.1:0" };
  const config = configSchema.parse({
    receive: { grpc: anyPort, http: anyPort },
    detect: { baseline: { records: 200 }, budget: { per_stream_per_day: 5 } },
    forward: { endpoint: downstream.endpoint, compression: "none" },
    api: anyPort,
    data_dir,
  });
  const anomalies: Anomaly[] = [];
  const sidecar = await startSidecar(config, {
    log: pino({ level: "silent" }),
    onAnomaly: [({ message }) => anomalies.push(message)],
  });
  open.push(() => sidecar.close());
  return { downstream, anomalies, address: sidecar.addresses.http! };
}

async function send(address: string, metric: MessageInitShape<typeof MetricSchema>): Promise<void> {
  const schema = ExportMetricsServiceRequestSchema;
  const service = {
    key: "service.name",
    value: { value: { case: "stringValue" as const, value: "payments" } },
  };
  const body = toBinary(
    schema,
    create(schema, {
      resourceMetrics: [{ resource: { attributes: [service] }, scopeMetrics: [{ metrics: [metric] }] }],
    }),
  );
  const headers = { "content-type": "application/x-protobuf" };
  const response = await fetch(`http://${address}/v1/metrics`, {
    method: "POST",
    headers,
    body: new Uint8Array(body),
  });
  expect(response.status).toBe(200);
}

const time = (minute: number) => 1_790_000_000_000_000_000n + BigInt(minute) * 60_000_000_000n;

const next = random(5);
const normal = () => Array.from({ length: 12 }, next).reduce((sum, x) => sum + x, -6);
const usual = () => 60 * Math.exp(0.5 * normal());
/** Either fast or slow, nothing between; the mean is the usual one. */
const split = () => (next() < 0.5 ? 18 : 118) * Math.exp(0.1 * normal());
const draw = (one: () => number) => Array.from({ length: 200 }, one);
const sum = (values: number[]) => values.reduce((all, value) => all + value, 0);

/** A cumulative histogram with buckets an eighth of an octave wide. */
function exponentialHistogram() {
  const scale = 3;
  const counts = new Map<number, bigint>();
  let total = 0;
  let seen = 0n;
  return (minute: number, values: number[]) => {
    for (const value of values) {
      const index = Math.ceil(Math.log2(value) * 2 ** scale) - 1;
      counts.set(index, (counts.get(index) ?? 0n) + 1n);
    }
    total += sum(values);
    seen += BigInt(values.length);
    const offset = Math.min(...counts.keys());
    const length = Math.max(...counts.keys()) - offset + 1;
    const bucketCounts = Array.from({ length }, (_, i) => counts.get(offset + i) ?? 0n);
    return {
      startTimeUnixNano: time(0),
      timeUnixNano: time(minute),
      count: seen,
      sum: total,
      scale,
      positive: { offset, bucketCounts },
    };
  };
}

function summary() {
  let total = 0;
  let seen = 0n;
  return (minute: number, values: number[]) => {
    total += sum(values);
    seen += BigInt(values.length);
    const sorted = values.toSorted((a, b) => a - b);
    const quantileValues = [0.5, 0.9, 0.99].map((quantile) => ({
      quantile,
      value: sorted[Math.floor(quantile * sorted.length)]!,
    }));
    return {
      startTimeUnixNano: time(0),
      timeUnixNano: time(minute),
      count: seen,
      sum: total,
      quantileValues,
    };
  };
}

describe("the shape of a distribution", () => {
  it("of an exponential histogram: values that split in two at the same mean and count", async () => {
    const { downstream, anomalies, address } = await running();
    const point = exponentialHistogram();
    const metric = (dataPoints: ReturnType<typeof point>[]) => ({
      name: "charge.duration",
      unit: "ms",
      data: {
        case: "exponentialHistogram" as const,
        value: { aggregationTemporality: AggregationTemporality.CUMULATIVE, dataPoints },
      },
    });
    await send(address, metric(Array.from({ length: 1_000 }, (_, i) => point(i, draw(usual)))));
    const before = anomalies.length;
    await send(
      address,
      metric([point(1_000, draw(usual)), point(1_001, draw(split)), point(1_002, draw(usual))]),
    );

    const [anomaly, ...others] = anomalies.slice(before).filter(({ state }) => state === State.OPEN);
    expect(others).toEqual([]);
    expect(anomaly).toMatchObject({ channel: Channel.VALUE, field: "buckets", occurrence: 1n });
    expect(anomaly!.stream).toBe("metrics service.name=payments charge.duration");
    expect(anomaly!.explanation).toMatch(
      /^\d[\d.]* % of the values were (above|at most) [\d.]+; usually [\d.]+ %;/,
    );
    expect(anomaly!.score).toBeGreaterThan(anomaly!.limit);
    const { data } = forwarded(downstream.received.at(-1)!.body);
    const flagged = (data.value as { dataPoints: { attributes: { key: string }[] }[] }).dataPoints.map(
      ({ attributes }) => attributes.some(({ key }) => key === "cbad.anomaly"),
    );
    expect(flagged).toEqual([false, true, false]);
  });

  it("of a summary: values far off their usual range", async () => {
    const { anomalies, address } = await running();
    const point = summary();
    const metric = (dataPoints: ReturnType<typeof point>[]) => ({
      name: "lookup.duration",
      data: { case: "summary" as const, value: { dataPoints } },
    });
    await send(address, metric(Array.from({ length: 1_000 }, (_, i) => point(i, draw(usual)))));
    const before = anomalies.length;
    const slow = [...draw(usual).slice(0, 192), ...Array.from({ length: 8 }, () => 1_500)];
    await send(address, metric([point(1_000, draw(usual)), point(1_001, slow)]));

    const [anomaly, ...others] = anomalies.slice(before).filter(({ state }) => state === State.OPEN);
    expect(others).toEqual([]);
    // The slow values raise the mean as well; either is a true account of them.
    expect(anomaly!.channel).toBe(Channel.VALUE);
    expect(anomaly!.explanation).toMatch(/^The (0\.99 quantile is 1500|mean is \d+); usually [\d.]+–[\d.]+/);
    expect(anomaly!.expected!.high).toBeLessThan(600);
  });
});

function forwarded(body: Buffer): Metric {
  return fromBinary(ExportMetricsServiceRequestSchema, body).resourceMetrics[0]!.scopeMetrics[0]!.metrics[0]!;
}
