/** A sender of OTLP on loopback: requests of log lines, over gRPC and HTTP. */
import { create, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import {
  type ExportLogsServiceRequest,
  ExportLogsServiceRequestSchema,
} from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { grpcMethod } from "../../src/otlp/protocol.ts";

/**
 * An ExportLogsServiceRequest of one service, with one record per second, starting `from` seconds after a fixed time.
 */
export function logs(lines: string[], from = 0, service = "checkout"): Buffer {
  const text = (value: string) => ({ value: { case: "stringValue" as const, value } });
  const request: ExportLogsServiceRequest = create(ExportLogsServiceRequestSchema, {
    resourceLogs: [
      {
        resource: { attributes: [{ key: "service.name", value: text(service) }] },
        scopeLogs: [
          {
            logRecords: lines.map((line, i) => ({
              timeUnixNano: 1_700_000_000_000_000_000n + BigInt(from + i) * 1_000_000_000n,
              body: text(line),
            })),
          },
        ],
      },
    ],
  });
  return Buffer.from(toBinary(ExportLogsServiceRequestSchema, request));
}

/** Normal lines of a service: a few templates with changing numbers. */
export function normalLines(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => {
    const n = from + i;
    return [
      `GET /cart/${n} 200 in ${n % 90} ms`,
      `payment ${n * 7919} accepted for order ${n}`,
      `session ${n * 31} of user ${n % 500} renewed`,
    ][n % 3]!;
  });
}

export const strangeLine =
  "kernel panic: unable to mount root filesystem on unknown-block, dumping registers RAX RBX RCX to serial console";

/** Resolves to the response's bytes; rejects with grpc-js's error. */
export function sendGrpc(address: string, body: Buffer, extra: Record<string, string> = {}): Promise<Buffer> {
  const client = new Client(address, credentials.createInsecure());
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(extra)) metadata.set(name, value);
  const identity = (bytes: Buffer) => bytes;
  return new Promise<Buffer>((resolve, reject) => {
    client.makeUnaryRequest(
      grpcMethod.logs,
      identity,
      identity,
      body,
      metadata,
      (error: ServiceError | null, answer?: Buffer) => (error ? reject(error) : resolve(answer!)),
    );
  }).finally(() => client.close());
}

export function sendHttp(
  address: string,
  body: Buffer,
  extra: Record<string, string> = {},
): Promise<Response> {
  const headers = { "content-type": "application/x-protobuf", ...extra };
  return fetch(`http://${address}/v1/logs`, { method: "POST", headers, body: new Uint8Array(body) });
}
