/** The path of a request through the process: engine, anomalies, forwarder. */
import { type Context, ROOT_CONTEXT, SpanKind, type Tracer } from "@opentelemetry/api";
import type { AnomalySink, Report } from "../anomaly/report.ts";
import type { ErrorCode } from "../base/error-codes.ts";
import type { Engine, Findings } from "../engine/index.ts";
import type { Exporter } from "../forward/index.ts";
import type { EvidencePage } from "../gen/driftlock/v1/incidents_pb.js";
import type { LlmPage } from "../gen/driftlock/v1/llm_pb.js";
import { Code, ExportError, type ExportRequest, type PartialSuccess } from "../otlp/protocol.ts";
import { engineHooks } from "../telemetry/hooks.ts";
import { codeLabel, type Metrics } from "../telemetry/metrics.ts";
import { withSpan } from "../telemetry/span.ts";

/** Counts what tenants send, in bytes of protobuf. Its methods return quickly and never throw. */
export interface Meter {
  /** Called for a request that was judged, whatever becomes of it. */
  charge(tenant: string, amount: { records: number; bytes: number }): void;
  /** Called for a request that was accepted. */
  countAccepted(tenant: string, amount: { records: number; bytes: number }): void;
}

/** The rooms that a request passes. */
export interface Parts {
  /** Undefined if detection is off: requests pass unchanged, and their records are not counted. */
  engine: Engine | undefined;
  forwarder: Exporter;
  metrics: Metrics;
  tracer: Tracer | undefined;
  /** Receive all reports. */
  sinks: readonly AnomalySink[];
  /** Receive the reports that are not silenced. */
  notifiers: readonly AnomalySink[];
  /** Returns the report marked with the silence that applies to it; undefined if none does. It returns quickly and never throws. */
  silenced?: (report: Report) => Report | undefined;
  /** Receives the evidence of requests and of the passing of time, in the order of calls. It returns quickly and never throws. */
  onEvidence?: (page: EvidencePage) => void;
  /** Receives the calls of language models, in the order of requests. It returns quickly and never throws. */
  onCalls?: (page: LlmPage) => void;
  /** Receives what was notable without being flagged. It returns quickly and never throws. */
  onNotable?: (finding: Report) => void;
  meter: Meter;
  /** Called before a tenant's request goes to the engine. It returns quickly and never throws. */
  onJudge?: (tenant: string) => void;
}

interface Judged {
  /** Null if nothing is forwarded. */
  forward: Buffer | null;
  records: number;
}

/** What was accepted and not delivered. */
export interface Undelivered {
  requests: number;
  /** Number of records, as far as the engine had counted them. */
  records: number;
  bytes: number;
}

/** Numbers of records since the start. */
export interface Counts {
  records: number;
  flagged: number;
  /** Number of records in requests that the downstream accepted. */
  forwarded: number;
}

/** Passes each request through the engine and the forwarder, and emits the reports of anomalies. */
export class Pipeline {
  readonly #parts: Parts;
  readonly #hooks: ReturnType<typeof engineHooks>;
  readonly counts: Counts = { records: 0, flagged: 0, forwarded: 0 };
  /** The requests in the engine and when each was handed over, oldest first. */
  readonly #judging = new Set<{ since: number; bytes: number }>();
  /** When the engine last returned a request. */
  #lastVerdict = 0;
  #draining = false;
  readonly #failed: Undelivered = { requests: 0, records: 0, bytes: 0 };

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#hooks = engineHooks(parts.metrics);
  }

  /** The `Consumer` of the receivers. */
  readonly take = (request: ExportRequest): Promise<PartialSuccess | undefined> => {
    const { tracer } = this.#parts;
    return withSpan(tracer, `export ${request.signal}`, SpanKind.SERVER, ROOT_CONTEXT, (context) =>
      this.#take(request, context),
    );
  };

  /** Milliseconds for which the oldest request has been in the engine; 0 if there is none. */
  get judgingFor(): number {
    const [oldest] = this.#judging;
    return oldest === undefined ? 0 : performance.now() - oldest.since;
  }

  /**
   * Milliseconds for which the engine has had requests and returned none. Unlike `judgingFor`, it stays small while a long queue
   * moves.
   */
  get stuckFor(): number {
    const [oldest] = this.#judging;
    return oldest === undefined ? 0 : performance.now() - Math.max(oldest.since, this.#lastVerdict);
  }

  /**
   * From now on, failed requests count as undelivered: their senders may find nobody else to send them to. Those whose senders no
   * longer wait do not count, whether they have gone away or their deadline has passed.
   */
  drain(): void {
    this.#draining = true;
  }

  /** Returns what has failed since `drain`, and what the engine still holds. */
  undelivered(): Undelivered {
    const total = { ...this.#failed };
    for (const { bytes } of this.#judging) {
      total.requests++;
      total.bytes += bytes;
    }
    return total;
  }

  /** Emits a report to all sinks, whether a request, the passing of time or a person's decision caused it. */
  readonly emit = (report: Report): void => {
    const { sinks, notifiers, silenced } = this.#parts;
    const marked = silenced?.(report);
    this.#hooks.onReport(report);
    if (marked !== undefined) this.#hooks.onSilenced(report);
    for (const sink of sinks) sink(marked ?? report);
    if (marked === undefined) for (const notify of notifiers) notify(report);
  };

  /** Hands on what a request or the passing of time showed. */
  readonly report = ({ reports, notable, evidence, calls }: Findings): void => {
    for (const each of reports) this.emit(each);
    for (const each of notable) this.#parts.onNotable?.(each);
    if (evidence !== undefined) this.#parts.onEvidence?.(evidence);
    if (calls !== undefined) this.#parts.onCalls?.(calls);
  };

  async #take(request: ExportRequest, context: Context): Promise<PartialSuccess | undefined> {
    const { forwarder, metrics, tracer, meter } = this.#parts;
    const { signal, tenant, body, abort } = request;
    let judged: Judged | undefined;
    try {
      judged = await withSpan(tracer, "engine", SpanKind.INTERNAL, context, () => this.#judge(request));
      const { forward, records } = judged;
      meter.charge(tenant, { records, bytes: body.length });
      let partial: PartialSuccess | undefined;
      if (forward !== null) {
        if (forward !== body) request.count(forward.length);
        partial = await withSpan(tracer, "forward", SpanKind.CLIENT, context, () =>
          forwarder.export(signal, forward, abort, request.release),
        );
        metrics.forward.records.inc({ signal }, records);
        this.counts.forwarded += records;
      } else request.release();
      meter.countAccepted(tenant, { records, bytes: body.length });
      return partial;
    } catch (error) {
      const code = error instanceof ExportError ? error.code : Code.INTERNAL;
      metrics.forward.undeliveredRecords.inc({ signal, code: codeLabel(code) }, judged?.records ?? 0);
      if (this.#draining && code !== Code.INVALID_ARGUMENT && !abort.aborted) {
        this.#failed.requests++;
        this.#failed.records += judged?.records ?? 0;
        this.#failed.bytes += request.body.length;
      }
      throw error;
    }
  }

  async #judge({ signal, tenant, body }: ExportRequest): Promise<Judged> {
    const { engine } = this.#parts;
    if (engine === undefined) return { forward: body, records: 0 };
    const entry = { since: performance.now(), bytes: body.length };
    this.#judging.add(entry);
    this.#parts.onJudge?.(tenant);
    try {
      const outcome = await engine.process(signal, tenant, body);
      this.#hooks.onJudged(signal, outcome);
      this.counts.records += outcome.records;
      this.counts.flagged += outcome.flagged;
      this.report(outcome);
      return outcome;
    } catch (error) {
      throw toExportError(error as Error);
    } finally {
      this.#judging.delete(entry);
      this.#lastVerdict = performance.now();
      this.#hooks.onAnswer(signal, (this.#lastVerdict - entry.since) / 1_000);
    }
  }
}

/** Returns the error for the sender whose request the engine rejects. */
export function toExportError(cause: Error & { code?: ErrorCode }): Error {
  switch (cause.code) {
    case "ERR_DRIFTLOCK_OTLP_MALFORMED":
      return new ExportError(Code.INVALID_ARGUMENT, cause.message, undefined, { cause });
    case "ERR_DRIFTLOCK_ENGINE_CANCELLED":
      return new ExportError(Code.UNAVAILABLE, cause.message, undefined, { cause });
    default:
      return cause;
  }
}
