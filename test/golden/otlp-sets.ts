/**
 * OTLP requests to judge, each set of one signal: those of the synthetic shop, and some that give each channel
 * something to find.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { LogRecordSchema } from "../../src/gen/opentelemetry/proto/logs/v1/logs_pb.js";
import {
  AggregationTemporality,
  type MetricSchema,
} from "../../src/gen/opentelemetry/proto/metrics/v1/metrics_pb.js";
import type { SpanSchema } from "../../src/gen/opentelemetry/proto/trace/v1/trace_pb.js";
import { driftlock } from "../cli/driftlock.ts";
import { random } from "../engine/requests.ts";

type Signal = "logs" | "traces" | "metrics";

export interface OtlpSet {
  name: string;
  signal: Signal;
  /** Encoded Export*ServiceRequests. */
  requests: Buffer[];
  /** The number of records, or points of a metric, that a stream learns from when the set is replayed. */
  train: number;
}

const startMs = Date.UTC(2026, 2, 2, 10);
const nanos = (ms: number) => BigInt(startMs) * 1_000_000n + BigInt(Math.round(ms * 1_000)) * 1_000n;

function value(of: string | number) {
  return typeof of === "string"
    ? { value: { case: "stringValue" as const, value: of } }
    : { value: { case: "intValue" as const, value: BigInt(of) } };
}

function attributes(of: Record<string, string | number>) {
  return Object.entries(of).map(([key, each]) => ({ key, value: value(each) }));
}

const resource = (service: string) => ({ attributes: attributes({ "service.name": service }) });

function inChunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}

type LogRecord = MessageInitShape<typeof LogRecordSchema>;
type Span = MessageInitShape<typeof SpanSchema>;
type Metric = MessageInitShape<typeof MetricSchema>;

function logsOf(records: Record<string, LogRecord[]>): Buffer {
  const schema = ExportLogsServiceRequestSchema;
  const resourceLogs = Object.entries(records).map(([service, logRecords]) => ({
    resource: resource(service),
    scopeLogs: [{ scope: { name: "golden" }, logRecords }],
  }));
  return Buffer.from(toBinary(schema, create(schema, { resourceLogs })));
}

function spansOf(service: string, spans: Span[]): Buffer {
  const schema = ExportTraceServiceRequestSchema;
  const resourceSpans = [{ resource: resource(service), scopeSpans: [{ scope: { name: "golden" }, spans }] }];
  return Buffer.from(toBinary(schema, create(schema, { resourceSpans })));
}

function metricsOf(service: string, metrics: Metric[]): Buffer {
  const schema = ExportMetricsServiceRequestSchema;
  const resourceMetrics = [{ resource: resource(service), scopeMetrics: [{ metrics }] }];
  return Buffer.from(toBinary(schema, create(schema, { resourceMetrics })));
}

function id(size: number, number: number): Uint8Array {
  const bytes = Buffer.alloc(size);
  bytes.writeUInt32BE(number, size - 4);
  return bytes;
}

/**
 * One request every 5 s: a field's shares and numbers change, a second service bursts and fades, a third falls silent.
 */
function webLogs(): Buffer[] {
  const next = random(31);
  const pick = <T>(items: readonly T[]) => items[Math.floor(next() * items.length)]!;
  const requests: Buffer[] = [];
  for (let step = 0; step < 2_000; step++) {
    const within = (first: number, after: number) => step >= first && step < after;
    const shifted = within(1_100, 1_250);
    const access = (): LogRecord => ({
      timeUnixNano: nanos(step * 5_000 + next() * 4_900),
      severityNumber: 9,
      body: value(`GET /api/${pick(["orders", "carts", "users"])}/${Math.floor(next() * 1e6)} done`),
      attributes: attributes({
        "http.response.status_code": next() < (shifted ? 0.5 : 0.03) ? 503 : pick([200, 200, 201]),
        "cloud.region": pick(within(1_400, 1_500) ? ["eu-west-1"] : ["eu-west-1", "eu-north-1", "us-east-1"]),
        "response.size": Math.floor((within(1_600, 1_700) ? 9_000 : 900) * (0.8 + 0.4 * next())),
      }),
    });
    const plain = (text: string): LogRecord => ({
      timeUnixNano: nanos(step * 5_000 + 4_950),
      severityNumber: 9,
      body: value(text),
    });
    const busy = within(1_300, 1_310) ? 40 : within(1_850, 1_900) ? 0.2 : 2;
    const records = {
      web: Array.from({ length: 3 }, access),
      proxy: Array.from({ length: Math.floor(busy + next()) }, () =>
        plain(`proxied ${Math.floor(next() * 1e6)}`),
      ),
      worker: step % 2 === 0 && !within(1_400, 1_700) ? [plain("worker is idle")] : [],
    };
    requests.push(logsOf(records));
  }
  return requests;
}

/** Sessions of log records, some interleaved; late ones break off, skip a step or repeat one. */
function sessionLogs(): Buffer[] {
  const next = random(32);
  const records: { ms: number; record: LogRecord }[] = [];
  for (let session = 0; session < 420; session++) {
    const steps = ["accepted", "checked", "reserved", "charged", "confirmed", "closed"];
    if (session > 300 && session % 12 === 0) steps.splice(3);
    if (session > 300 && session % 12 === 4) steps.splice(2, 1);
    if (session > 300 && session % 12 === 8) steps.splice(2, 0, "confirmed", "charged");
    steps.forEach((step, i) => {
      const ms = session * 700 + i * 400 + next() * 100;
      const record: LogRecord = {
        timeUnixNano: nanos(ms),
        severityNumber: 9,
        body: value(`order ${Math.floor(next() * 1e6)} ${step}`),
        attributes: attributes({ "session.id": `s-${session}` }),
      };
      records.push({ ms, record });
    });
  }
  records.sort((a, b) => a.ms - b.ms);
  return inChunks(
    records.map(({ record }) => record),
    40,
  ).map((chunk) => logsOf({ orders: chunk }));
}

/** Traces of four spans, children first. Late ones have a span under the wrong parent, without its child, or slow. */
function shopSpans(): Buffer[] {
  const next = random(33);
  const spans: Span[] = [];
  for (let trace = 0; trace < 480; trace++) {
    const late = trace > 380 ? trace % 12 : -1;
    const span = (index: number, name: string, parent: number | undefined, ms: number): Span => ({
      traceId: id(16, trace + 1),
      spanId: id(8, trace * 8 + index),
      parentSpanId: parent === undefined ? new Uint8Array() : id(8, trace * 8 + parent),
      name,
      kind: index === 1 ? 2 : 3,
      startTimeUnixNano: nanos(trace * 500),
      endTimeUnixNano: nanos(trace * 500 + ms * (0.8 + 0.4 * next())),
      attributes: attributes({ "db.system": name === "query" ? "postgresql" : "none" }),
    });
    if (late !== 4) spans.push(span(4, "query", late === 0 ? 1 : 3, late === 8 ? 250 : 4));
    spans.push(span(3, "reserve", 2, 9), span(2, "checkout", 1, 20), span(1, "POST /orders", undefined, 30));
  }
  return inChunks(spans, 50).map((chunk) => spansOf("till", chunk));
}

/** A gauge, a counter, a histogram and a summary per minute. */
function shapes(): Buffer[] {
  const next = random(34);
  const bounds = [10, 20, 40, 80, 160, 320];
  let served = 0;
  return Array.from({ length: 700 }, (_, minute) => {
    const timeUnixNano = nanos(minute * 60_000);
    const startTimeUnixNano = nanos(-60_000);
    const draw = () =>
      15 + 60 * next() * next() + (minute === 620 || minute === 621 ? 120 * Math.round(next()) : 0);
    const values = Array.from({ length: 120 }, draw);
    const buckets = [...bounds, Number.POSITIVE_INFINITY].map((bound, i) =>
      BigInt(values.filter((each) => each <= bound && each > (bounds[i - 1] ?? 0)).length),
    );
    const sorted = values.toSorted((a, b) => a - b);
    if (minute === 660) for (let i = 114; i < 120; i++) sorted[i] = 2_000;
    const sum = values.reduce((all, each) => all + each, 0);
    served += Math.floor((minute >= 640 ? 20 : 60) * (0.9 + 0.2 * next()));
    const common = { startTimeUnixNano, timeUnixNano };
    const delta = AggregationTemporality.DELTA;
    return metricsOf("billing", [
      {
        name: "queue.length",
        data: {
          case: "gauge",
          value: {
            dataPoints: [
              { timeUnixNano, value: { case: "asDouble", value: (minute === 600 ? 300 : 20) + 4 * next() } },
            ],
          },
        },
      },
      {
        name: "requests",
        data: {
          case: "sum",
          value: {
            aggregationTemporality: AggregationTemporality.CUMULATIVE,
            isMonotonic: true,
            dataPoints: [{ ...common, value: { case: "asInt", value: BigInt(served) } }],
          },
        },
      },
      {
        name: "charge.duration",
        data: {
          case: "histogram",
          value: {
            aggregationTemporality: delta,
            dataPoints: [{ ...common, count: 120n, sum, explicitBounds: bounds, bucketCounts: buckets }],
          },
        },
      },
      {
        name: "lookup.duration",
        data: {
          case: "summary",
          value: {
            dataPoints: [
              {
                ...common,
                count: 120n * BigInt(minute + 1),
                sum: 3_600 * (minute + 1),
                quantileValues: [0.5, 0.9, 0.99].map((quantile) => ({
                  quantile,
                  value: sorted[Math.floor(quantile * 120)]!,
                })),
              },
            ],
          },
        },
      },
    ]);
  });
}

/** Requests preceded by their lengths in four bytes, as `driftlock replay` reads them. */
export function framed(requests: readonly Buffer[]): Buffer {
  return Buffer.concat(
    requests.flatMap((body) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(body.length);
      return [length, body];
    }),
  );
}

function unframed(file: Buffer): Buffer[] {
  const requests: Buffer[] = [];
  for (let at = 0; at < file.length; at += 4 + file.readUInt32BE(at)) {
    requests.push(file.subarray(at + 4, at + 4 + file.readUInt32BE(at)));
  }
  return requests;
}

/** Returns what `driftlock generate` writes with the given options, by signal. */
async function shop(
  seed: string,
  signals: Signal[],
  ...options: string[]
): Promise<Record<Signal, Buffer[]>> {
  const folder = mkdtempSync(join(tmpdir(), "driftlock-golden-"));
  try {
    const fixed = [
      "--seed",
      seed,
      "--start",
      "2026-03-02T10:00:00Z",
      "--rate",
      "40",
      "--signals",
      signals.join(","),
    ];
    const { code, err } = await driftlock(["generate", "--out", join(folder, "%s"), ...fixed, ...options]);
    if (code !== 0) throw new Error(err);
    const read = (signal: Signal) =>
      signals.includes(signal) ? unframed(readFileSync(join(folder, signal))) : [];
    return { logs: read("logs"), traces: read("traces"), metrics: read("metrics") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export async function otlpSets(): Promise<OtlpSet[]> {
  const inject = (...anomalies: string[]) => anomalies.flatMap((anomaly) => ["--anomaly", anomaly]);
  const names = ["new-error", "secret-leak", "latency", "error-status", "missing-span", "burst", "new-field"];
  const late = names.map((name, i) => `${name}@${230 + 15 * i}s+10s`);
  const strange = await shop("golden", ["logs", "traces"], "--duration", "6m", ...inject(...late));
  const metrics = await shop(
    "golden",
    ["metrics"],
    "--duration",
    "2m",
    ...inject("metric-spike@80s+5s", "level-shift@90s+30s"),
  );
  const quiet = await shop("quiet", ["logs"], "--duration", "1m", "--no-anomalies");
  return [
    { name: "shop-logs-quiet", signal: "logs", train: 150, requests: quiet.logs },
    { name: "shop-logs", signal: "logs", train: 200, requests: strange.logs },
    { name: "shop-traces", signal: "traces", train: 200, requests: strange.traces },
    { name: "shop-metrics", signal: "metrics", train: 64, requests: metrics.metrics },
    { name: "web-logs", signal: "logs", train: 300, requests: webLogs() },
    { name: "session-logs", signal: "logs", train: 1_000, requests: sessionLogs() },
    { name: "parents", signal: "traces", train: 800, requests: shopSpans() },
    { name: "shapes", signal: "metrics", train: 300, requests: shapes() },
  ];
}
