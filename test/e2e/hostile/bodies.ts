/** Requests that cost a receiver more than their size suggests, as protobuf bytes. */
import { create, toBinary } from "@bufbuild/protobuf";
import { ExportLogsServiceRequestSchema } from "../../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";

const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))];

/** A field of wire type 2 with the bytes of `parts` as its value. */
function field(number: number, ...parts: (Uint8Array | string)[]): Buffer {
  const value = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([Buffer.from([...varint(number * 8 + 2), ...varint(value.length)]), value]);
}

const attribute = (key: string, value: string) => field(1, field(1, key), field(2, field(1, value)));

/** One gauge with a name of `nameBytes` and `points` empty points, each of two bytes. */
export function longMetricName(nameBytes: number, points: number): Buffer {
  const metric = field(
    2,
    field(1, Buffer.alloc(nameBytes, "a")),
    field(5, Buffer.alloc(2 * points, field(1))),
  );
  return field(1, field(1, attribute("service.name", "hostile")), field(2, metric));
}

/** One resource of `attributes` attributes, and as many scopes with one empty record each. */
export function wideResource(attributes: number): Buffer {
  const resource = Array.from({ length: attributes }, (_, i) => attribute(`k${i}`, "v"));
  const scopes = Array.from({ length: attributes }, () => field(2, field(2)));
  return field(1, field(1, ...resource), ...scopes);
}

export interface LogsOptions {
  service: string;
  count: number;
  severityNumber?: number;
  /** Nanoseconds by which the sender's clock is ahead. */
  aheadNanos?: bigint;
  line(n: number): string;
}

export function logs({ service, count, severityNumber = 9, aheadNanos = 0n, line }: LogsOptions): Buffer {
  const timeUnixNano = BigInt(Date.now()) * 1_000_000n + aheadNanos;
  const text = (value: string) => ({ value: { case: "stringValue" as const, value } });
  const logRecords = Array.from({ length: count }, (_, n) => ({
    timeUnixNano,
    severityNumber,
    body: text(line(n)),
  }));
  const resource = { attributes: [{ key: "service.name", value: text(service) }] };
  const schema = ExportLogsServiceRequestSchema;
  return Buffer.from(
    toBinary(schema, create(schema, { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] })),
  );
}
