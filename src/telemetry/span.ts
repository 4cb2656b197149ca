import { type Context, type SpanKind, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";

/** Runs `work` within a span, or without one if there is no tracer. `work` receives the context for child spans. */
export async function withSpan<T>(
  tracer: Tracer | undefined,
  name: string,
  kind: SpanKind,
  parent: Context,
  work: (context: Context) => Promise<T>,
): Promise<T> {
  if (tracer === undefined) return work(parent);
  const span = tracer.startSpan(name, { kind }, parent);
  try {
    return await work(trace.setSpan(parent, span));
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR, message: (error as Error).message });
    throw error;
  } finally {
    span.end();
  }
}
