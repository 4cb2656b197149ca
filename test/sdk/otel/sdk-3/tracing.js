/** How version 3 of the SDK traces. */
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";

export { InMemorySpanExporter } from "@opentelemetry/sdk-trace";
export const batchProcessor = (exporter) => new BatchSpanProcessor({ exporter });
export const tracerProvider = (options) => new TracerProvider(options);
