/** Driftlock's own traces, by the OpenTelemetry SDK, which is loaded only if an endpoint is set. */
import type { Tracer } from "@opentelemetry/api";
import type { Config } from "../config/schema.ts";

export interface Tracing {
  tracer: Tracer;
  /** Exports the remaining spans. */
  close(): Promise<void>;
}

/**
 * OTEL_EXPORTER_OTLP_HEADERS has the credentials of the downstream. The SDK, which reads it when an exporter is created,
 * would send them to the endpoint of these traces, whose own headers are in OTEL_EXPORTER_OTLP_TRACES_HEADERS.
 */
function withoutDownstreamHeaders<T>(make: () => T): T {
  const headers = process.env.OTEL_EXPORTER_OTLP_HEADERS;
  delete process.env.OTEL_EXPORTER_OTLP_HEADERS;
  try {
    return make();
  } finally {
    if (headers !== undefined) process.env.OTEL_EXPORTER_OTLP_HEADERS = headers;
  }
}

/** Starts tracing; undefined if no endpoint is set. Sampling follows the SDK's variables (OTEL_TRACES_SAMPLER …). */
export async function startTracing(
  config: Config["telemetry"],
  version: string,
): Promise<Tracing | undefined> {
  if (config.traces_endpoint === undefined) return undefined;
  const [{ BatchSpanProcessor, NodeTracerProvider }, { OTLPTraceExporter }, { resourceFromAttributes }] =
    await Promise.all([
      import("@opentelemetry/sdk-trace-node"),
      import("@opentelemetry/exporter-trace-otlp-grpc"),
      import("@opentelemetry/resources"),
    ]);
  const url = config.traces_endpoint;
  const exporter = withoutDownstreamHeaders(() => new OTLPTraceExporter({ url }));
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({
      "service.name": config.service_name,
      "service.version": version,
      "deployment.environment.name": config.environment,
    }),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  return { tracer: provider.getTracer("driftlock", version), close: () => provider.shutdown() };
}
