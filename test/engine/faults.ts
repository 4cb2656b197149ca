/** Streams with usual records, and then what a test finds strange: logs, points of a gauge, and spans. */
import { create, toBinary } from "@bufbuild/protobuf";
import { ExportMetricsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { Signal } from "../../src/otlp/protocol.ts";
import { type Line, logsRequest, normalLine, random } from "./requests.ts";

export const second = 1_000_000_000n;
export const begin = 1_790_000_000n * second;
const text = (value: string) => ({ value: { case: "stringValue" as const, value } });
const resource = (service: string) => ({ attributes: [{ key: "service.name", value: text(service) }] });

export interface Request {
  signal: Signal;
  body: Buffer;
}

/** 600 usual log lines, ten per second, and then what is given. */
export function lines(...last: Line[]): Request[] {
  const next = random(7);
  const time = (i: number) => begin + BigInt(i) * (second / 10n);
  const usual = Array.from({ length: 600 }, (_, i) => ({ ...normalLine(next), time: time(i) }));
  return Array.from({ length: 7 }, (_, i) => {
    const own =
      i < 6 ? usual.slice(100 * i, 100 * (i + 1)) : last.map((line, j) => ({ ...line, time: time(600 + j) }));
    return { signal: "logs", body: logsRequest(own) };
  });
}

/** 300 points of a gauge between 90 and 110, one per 10 s, and then what is given. */
export function points(...last: number[]): Request[] {
  return pointsOf("", ...last);
}

/** The same with a unit. */
export function pointsOf(unit: string, ...last: number[]): Request[] {
  const next = random(8);
  const values = [...Array.from({ length: 300 }, () => 90 + 20 * next()), ...last];
  return values.map((asDouble, i) => {
    const dataPoints = [
      {
        timeUnixNano: begin + BigInt(i) * 10n * second,
        value: { case: "asDouble" as const, value: asDouble },
      },
    ];
    const metrics = [{ name: "queue.depth", unit, data: { case: "gauge" as const, value: { dataPoints } } }];
    const resourceMetrics = [{ resource: resource("shop"), scopeMetrics: [{ metrics }] }];
    const schema = ExportMetricsServiceRequestSchema;
    return { signal: "metrics", body: Buffer.from(toBinary(schema, create(schema, { resourceMetrics }))) };
  });
}

/** 600 spans of 9 to 11 ms, and then one that takes as long as is given. */
export function spans(lastMs: number): Request[] {
  const next = random(9);
  const all = Array.from({ length: 601 }, (_, i) => {
    const ms = i < 600 ? 9 + 2 * next() : lastMs;
    const startTimeUnixNano = begin + (BigInt(i) * second) / 10n;
    const id = Buffer.alloc(16);
    id.writeUInt32BE(i + 1);
    return {
      traceId: id,
      spanId: id.subarray(0, 8),
      name: "GET /cart",
      startTimeUnixNano,
      endTimeUnixNano: startTimeUnixNano + BigInt(Math.round(ms * 1e6)),
    };
  });
  const schema = ExportTraceServiceRequestSchema;
  return [all.slice(0, 600), all.slice(600)].map((own) => ({
    signal: "traces",
    body: Buffer.from(
      toBinary(
        schema,
        create(schema, { resourceSpans: [{ resource: resource("shop"), scopeSpans: [{ spans: own }] }] }),
      ),
    ),
  }));
}
