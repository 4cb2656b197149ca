import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import type { DetectConfig } from "../../src/config/schema.ts";
import { Engine } from "../../src/engine/index.ts";
import type { Anomaly } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { ExportMetricsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { AggregationTemporality } from "../../src/gen/opentelemetry/proto/metrics/v1/metrics_pb.js";
import { random } from "./requests.ts";

const second = 1_000_000_000n;
const begin = 1_790_000_000n * second;
const interval = 15n * second;
const text = (value: string) => ({ value: { case: "stringValue" as const, value } });

/** The process of a service that counts its requests from its own start, as cumulative sums do. */
interface Replica {
  attributes: Record<string, string>;
  start: bigint;
  total: number;
}

function request({ attributes, start, total }: Replica, time: bigint): Buffer {
  const schema = ExportMetricsServiceRequestSchema;
  const sum = {
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    isMonotonic: true,
    dataPoints: [
      {
        startTimeUnixNano: start,
        timeUnixNano: time,
        value: { case: "asDouble" as const, value: Math.round(total) },
      },
    ],
  };
  const resource = {
    attributes: Object.entries(attributes).map(([key, value]) => ({ key, value: text(value) })),
  };
  const metrics = [{ name: "http.requests", data: { case: "sum" as const, value: sum } }];
  return Buffer.from(
    toBinary(schema, create(schema, { resourceMetrics: [{ resource, scopeMetrics: [{ metrics }] }] })),
  );
}

/**
 * Sends the points of two replicas, and from the 1,000th interval on those of four. Returns what was reported.
 * @param faulty the interval from which the last replica counts ten times as fast
 */
async function scaleOut(
  naming: (replica: number) => Record<string, string>,
  { detect = {}, faulty = Infinity }: { detect?: Partial<DetectConfig>; faulty?: number } = {},
): Promise<Anomaly[]> {
  const engine = new Engine({ ...parseConfig({}).detect, ...detect }, { mode: "all" });
  const next = random(3);
  const reported: Anomaly[] = [];
  const replicas: Replica[] = [];
  for (let i = 0; i < 1_200; i++) {
    const at = begin + BigInt(i) * interval;
    while (replicas.length < (i < 1_000 ? 2 : 4)) {
      const attributes = { "service.name": "checkout", ...naming(replicas.length) };
      replicas.push({ attributes, start: at, total: 0 });
    }
    for (const [number, replica] of replicas.entries()) {
      replica.total += (600 + 60 * next()) * (number === 3 && i >= faulty ? 10 : 1);
      const body = request(replica, at + BigInt((7 * number) % 15) * second);
      const { anomalies } = await engine.process("metrics", "default", body);
      reported.push(...anomalies);
    }
  }
  await engine.close();
  return reported;
}

test.each(["service.instance.id", "k8s.pod.name", "host.name"])("scaling out is no news: %s", async (key) => {
  expect(await scaleOut((replica) => ({ [key]: `checkout-${replica}` }))).toEqual([]);
});

test("without instances, the totals of replicas look like resets", async () => {
  const detect = { instance_by: [] };
  const naming = (replica: number) => ({ "service.instance.id": `checkout-${replica}` });
  expect(await scaleOut(naming, { detect })).not.toEqual([]);
});

test("one bad replica among those that were added is named", async () => {
  const reported = await scaleOut((replica) => ({ "service.instance.id": `checkout-${replica}` }), {
    faulty: 1_100,
  });
  expect(reported[0]).toMatchObject({
    stream: "metrics service.name=checkout http.requests",
    instance: "service.instance.id=checkout-3",
    explanation: expect.stringContaining("; in service.instance.id=checkout-3"),
  });
  expect(new Set(reported.map(({ instance }) => instance)).size).toBe(1);
});
