/** How version 2 of the SDK traces. */
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

export { InMemorySpanExporter } from "@opentelemetry/sdk-trace-base";
export const batchProcessor = (exporter) => new BatchSpanProcessor(exporter);
export const tracerProvider = (options) => new BasicTracerProvider(options);
