import { fromBinary } from "@bufbuild/protobuf";
import { type Metadata, Server, ServerCredentials } from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import {
  type ExportTraceServiceRequest,
  ExportTraceServiceRequestSchema,
} from "../../src/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import { grpcMethod } from "../../src/otlp/protocol.ts";
import { startTracing } from "../../src/telemetry/traces.ts";

const config = { service_name: "edge", environment: "prod", log_level: "info" } as const;

let server: Server | undefined;
afterEach(() => {
  server?.forceShutdown();
  delete process.env.OTEL_EXPORTER_OTLP_HEADERS;
});

/** Starts a real OTLP/gRPC trace service; requests that it receives are pushed to `taken`. */
async function sink(taken: { request: ExportTraceServiceRequest; metadata: Metadata }[]): Promise<string> {
  server = new Server();
  const method = {
    path: grpcMethod.traces,
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
  } as const;
  server.addService(
    { Export: method },
    {
      Export: (
        call: { request: Buffer; metadata: Metadata },
        done: (error: null, answer: Buffer) => void,
      ) => {
        taken.push({
          request: fromBinary(ExportTraceServiceRequestSchema, call.request),
          metadata: call.metadata,
        });
        done(null, Buffer.alloc(0));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server!.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  return `http://127.0.0.1:${port}`;
}

describe("own traces", () => {
  it("are not made without an endpoint", async () => {
    expect(await startTracing(config, "1.2.3")).toBeUndefined();
  });

  it("reach their endpoint with the resource, without the downstream's credentials", async () => {
    process.env.OTEL_EXPORTER_OTLP_HEADERS = "authorization=secret";
    const taken: { request: ExportTraceServiceRequest; metadata: Metadata }[] = [];
    const tracing = await startTracing({ ...config, traces_endpoint: await sink(taken) }, "1.2.3");
    tracing!.tracer.startSpan("receive logs", { attributes: { "driftlock.records": 3 } }).end();
    await tracing!.close();

    expect(taken).toHaveLength(1);
    const { request, metadata } = taken[0]!;
    expect(metadata.get("authorization")).toEqual([]);
    expect(process.env.OTEL_EXPORTER_OTLP_HEADERS).toBe("authorization=secret");
    const [spans] = request.resourceSpans;
    const resource = Object.fromEntries(
      spans!.resource!.attributes.map(({ key, value }) => [key, value?.value.value]),
    );
    expect(resource).toMatchObject({
      "service.name": "edge",
      "service.version": "1.2.3",
      "deployment.environment.name": "prod",
    });
    expect(spans!.scopeSpans[0]!.spans[0]!.name).toBe("receive logs");
  });
});
