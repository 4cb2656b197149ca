import {
  type Context,
  type Span,
  type SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";

/** Runs `work` within a span, or without one if there is no tracer. `work` receives the context for child spans. */
export function withSpan<T>(
  tracer: Tracer | undefined,
  name: string,
  kind: SpanKind,
  parent: Context,
  work: (context: Context) => Promise<T>,
): Promise<T> {
  // Not an async function: three of them per request would be three promises more.
  return tracer === undefined ? work(parent) : traced(tracer.startSpan(name, { kind }, parent), parent, work);
}

async function traced<T>(span: Span, parent: Context, work: (context: Context) => Promise<T>): Promise<T> {
  try {
    return await work(trace.setSpan(parent, span));
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR, message: (error as Error).message });
    throw error;
  } finally {
    span.end();
  }
}
