/** Small believable requests for tests: a shop's logs, spans and points, seeded. */
import { create, toBinary } from "@bufbuild/protobuf";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";

/** Mulberry32, which suffices for test data and is equal on every machine. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export interface Line {
  body: string;
  severity?: number;
  service?: string;
  attributes?: Record<string, string | number>;
  /** Nanoseconds since 1970; by default a millisecond after the line before. */
  time?: bigint;
}

const text = (value: string) => ({ value: { case: "stringValue" as const, value } });
const any = (value: string | number) =>
  typeof value === "string" ? text(value) : { value: { case: "intValue" as const, value: BigInt(value) } };

const start = 1_790_000_000_000_000_000n;
let clock = 0n;

/** A request with one resource per service, whose records keep the given order, a millisecond apart. */
export function logsRequest(lines: Line[]): Buffer {
  const byService = Map.groupBy(lines, (line) => line.service ?? "shop");
  return Buffer.from(
    toBinary(
      ExportLogsServiceRequestSchema,
      create(ExportLogsServiceRequestSchema, {
        resourceLogs: [...byService].map(([service, own]) => ({
          resource: { attributes: [{ key: "service.name", value: text(service) }] },
          scopeLogs: [
            {
              scope: { name: "shop" },
              logRecords: own.map((line) => ({
                timeUnixNano: line.time ?? start + clock++ * 1_000_000n,
                severityNumber: line.severity ?? 9,
                body: text(line.body),
                attributes: Object.entries(line.attributes ?? {}).map(([key, value]) => ({
                  key,
                  value: any(value),
                })),
              })),
            },
          ],
        })),
      }),
    ),
  );
}

export function normalLine(next: () => number, service = "shop"): Line {
  const n = (below: number) => Math.floor(next() * below);
  const bodies = [
    () => `GET /api/v1/products/${n(9_999)} completed in ${n(400)}ms, ${n(60_000)} bytes`,
    () => `order ${n(1e9)} moved to ${["NEW", "PAID", "PACKED"][n(3)]} for customer u-${n(200_000)}`,
    () => `cache hit for key product:${n(50_000)}`,
    () => `slow call to payments took ${500 + n(900)}ms, attempt ${n(3)} of 3`,
  ];
  return {
    body: bodies[n(bodies.length)]!(),
    service,
    attributes: { "http.response.status_code": [200, 201, 404][n(3)]! },
  };
}

export const strangeLine = (service = "shop"): Line => ({
  body: "java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, request timed out",
  severity: 17,
  service,
});
