/** Generates the logs and spans of visits, with the changes that anomalies make. */
import { SeverityNumber } from "../gen/opentelemetry/proto/logs/v1/logs_pb.js";
import { Span_SpanKind as Kind, Status_StatusCode } from "../gen/opentelemetry/proto/trace/v1/trace_pb.js";
import type { Signal } from "../otlp/protocol.ts";
import { anomalyKinds } from "./anomalies.ts";
import { secret } from "./faults.ts";
import type { Injection, Injections } from "./injections.ts";
import { Random } from "./random.ts";
import { type Item, keyValues, type LogItem, type SpanItem, text } from "./records.ts";
import {
  charge,
  type Operation,
  pickJourney,
  reserve,
  type Service,
  type Template,
  templates,
  type Visit,
  visit,
} from "./shop.ts";

const burstFactor = 15;
const slowdown = 10;

interface Trace {
  visit: Visit;
  traced: boolean;
  id: Uint8Array;
  items: Item[];
}

export class Traffic {
  readonly #seed: string;
  readonly #startUnixNano: bigint;
  readonly #injections: Injections;
  readonly #signals: ReadonlySet<Signal>;
  #journeys = 0;

  constructor(seed: string, startUnixNano: bigint, injections: Injections, signals: Iterable<Signal>) {
    this.#seed = seed;
    this.#startUnixNano = startUnixNano;
    this.#injections = injections;
    this.#signals = new Set(signals);
  }

  /** Returns all records of a visit that begins at `time`, in microseconds. */
  journey(time: number): Item[] {
    const random = new Random(`${this.#seed}/journey/${this.#journeys++}`);
    const { operation, traced } = pickJourney(random);
    const trace: Trace = { visit: visit(random), traced, id: random.bytes(16), items: [] };
    this.#walk(operation, time, trace, undefined);
    return trace.items.filter(({ signal }) => this.#signals.has(signal));
  }

  /** Returns a record that an anomaly sends in addition. */
  shot(injection: Injection, time: number): Item[] {
    const { name, random } = injection;
    const { service } = anomalyKinds[name];
    if (name === "secret-leak") {
      return [this.#log(service, time, SeverityNumber.INFO, secret(random), {}, injection)];
    }
    const { type, message, trace } = injection.failure;
    const attributes = {
      "exception.type": type,
      "exception.message": message,
      "exception.stacktrace": trace,
    };
    return [this.#log(service, time, SeverityNumber.ERROR, trace, attributes, injection)];
  }

  /** Adds the records of an operation. Returns the time at which it ends, in microseconds. */
  #walk(operation: Operation, start: number, trace: Trace, parent: SpanItem | undefined): number {
    const { service, kind, milliseconds, calls = [] } = operation;
    const { random } = trace.visit;
    const injections = this.#injections;
    const silence = service === anomalyKinds.silence.service && injections.find("silence");
    if (silence) {
      injections.withhold(silence, this.#records(operation, trace));
      return start;
    }
    const latency = operation.attributes?.(trace.visit)["db.system.name"] && injections.find("latency");
    const own = random.logNormal(milliseconds, 0.35) * 1_000 * (latency ? slowdown : 1);

    const span = this.#span(operation, start, trace, parent);
    if (latency) span.truth = injections.mark(latency);
    this.#logs(operation, start, trace, span);
    let time = start + own / 2;
    for (const call of calls) {
      const missing = call.name === charge && call.kind === Kind.SERVER && injections.find("missing-span");
      if (missing) {
        injections.withhold(missing, this.#records(call, trace));
        span.truth = injections.mark(missing);
        continue;
      }
      const end = this.#walk(call, time, trace, span);
      // The caller does not wait for a consumer.
      if (call.kind !== Kind.CONSUMER) time = end;
    }
    time = Math.round(time + own / 2);
    const failing = operation.name === reserve && kind === Kind.SERVER && injections.find("error-status");
    if (failing) {
      span.truth = injections.mark(failing);
      fail(span, "DeadlockDetected", "could not serialize access: deadlock detected on relation stock_level");
    }
    span.time = time;
    span.record.endTimeUnixNano = this.#unixNano(time);
    if (trace.traced) trace.items.push(span);
    return time;
  }

  /** Returns the number of records that `#walk` would send. */
  #records(operation: Operation, trace: Trace): number {
    const { logs, calls = [] } = operation;
    const spans = trace.traced && this.#signals.has("traces") ? 1 : 0;
    const own = spans + (this.#signals.has("logs") ? (logs?.(trace.visit).length ?? 0) : 0);
    return calls.reduce((sum, call) => sum + this.#records(call, trace), own);
  }

  #span(operation: Operation, start: number, trace: Trace, parent: SpanItem | undefined): SpanItem {
    const { service, name, kind, attributes, failure } = operation;
    const { visit, id } = trace;
    const span: SpanItem = {
      signal: "traces",
      service,
      time: start,
      truth: undefined,
      record: {
        traceId: id,
        spanId: visit.random.bytes(8),
        ...(parent?.record.spanId && { parentSpanId: parent.record.spanId }),
        flags: 0x101,
        name,
        kind,
        startTimeUnixNano: this.#unixNano(start),
        attributes: keyValues(attributes?.(visit) ?? {}),
      },
    };
    const failed = failure?.(visit);
    if (failed) fail(span, failed.type, failed.message);
    return span;
  }

  #logs({ logs }: Operation, start: number, trace: Trace, span: SpanItem): void {
    let time = start;
    for (const template of logs?.(trace.visit) ?? []) {
      time += trace.visit.random.int(100, 2_000);
      this.#emit(template, time, trace, span);
    }
  }

  #emit(template: Template, time: number, trace: Trace, span: SpanItem): void {
    const { service } = span;
    const injections = this.#injections;
    const { body, attributes, severity } = template;
    const burst = template === templates.reserved ? injections.find("burst") : undefined;
    const log = this.#log(
      service,
      time,
      severity,
      body(trace.visit),
      attributes?.(trace.visit) ?? {},
      burst,
      trace.traced ? span : undefined,
    );
    trace.items.push(log);
    const field = service === anomalyKinds["new-field"].service && injections.find("new-field");
    if (field) {
      log.record.attributes = [...(log.record.attributes ?? []), ...keyValues({ [field.field]: "enabled" })];
      log.truth = injections.mark(field);
    }
    if (!burst) return;
    for (let copy = 1; copy < burstFactor; copy++) {
      const other = visit(burst.random);
      const at = time + burst.random.int(0, 400_000);
      trace.items.push(this.#log(service, at, severity, body(other), attributes?.(other) ?? {}, burst));
    }
  }

  #log(
    service: Service,
    time: number,
    severity: SeverityNumber,
    body: string,
    attributes: Record<string, string | number | boolean>,
    injection: Injection | undefined,
    span?: SpanItem,
  ): LogItem {
    const unixNano = this.#unixNano(time);
    return {
      signal: "logs",
      service,
      time,
      truth: injection && this.#injections.mark(injection),
      record: {
        timeUnixNano: unixNano,
        observedTimeUnixNano: unixNano,
        severityNumber: severity,
        severityText: SeverityNumber[severity]!,
        body: text(body),
        attributes: keyValues(attributes),
        ...(span && { flags: 1, traceId: span.record.traceId!, spanId: span.record.spanId! }),
      },
    };
  }

  #unixNano(time: number): bigint {
    return this.#startUnixNano + BigInt(Math.round(time)) * 1_000n;
  }
}

function fail(span: SpanItem, type: string, message: string): void {
  span.record.status = { code: Status_StatusCode.ERROR, message };
  span.record.attributes = [...(span.record.attributes ?? []), ...keyValues({ "error.type": type })];
}
