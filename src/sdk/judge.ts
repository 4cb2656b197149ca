/** The heavy part of the SDK, which is loaded with the first record: the engine, its configuration and its messages. */
import { fromBinary } from "@bufbuild/protobuf";
import { channelName, severityName } from "../anomaly/names.ts";
import type { Report } from "../anomaly/report.ts";
import { parseConfig } from "../config/load.ts";
import { configuredHashKey, Engine, SilenceClock } from "../engine/index.ts";
import { State } from "../gen/driftlock/v1/anomaly_pb.js";
import { ExportLogsServiceRequestSchema } from "../gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceRequestSchema } from "../gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { KeyValue } from "../gen/opentelemetry/proto/common/v1/common_pb.js";
import { type Signal, signals } from "../otlp/protocol.ts";
import { enginePrivacy } from "../privacy/policy.ts";
import type { AnomalyEvent } from "./event.ts";
import type { DriftlockOptions } from "./options.ts";

/** Milliseconds since 1970 by a clock that never runs backwards. */
const monotonicMs = (): number => performance.timeOrigin + performance.now();

/** The only tenant of an SDK. */
const tenant = "default";

/** Attributes that Driftlock gives to flagged records. */
export type Annotation = { readonly [name: `cbad.${string}`]: string | number | boolean };

/** What became of a request. */
export interface Verdict {
  /** Number of judged records. */
  records: number;
  /** Number of flagged records. */
  flagged: number;
  /** The attributes of flagged records, by their positions in the request. */
  annotations: Map<number, Annotation>;
}

/** Judges requests, and emits what it finds. */
export class Judge {
  readonly engine: Engine;
  readonly #silence: SilenceClock;
  readonly #emit: (event: AnomalyEvent) => void;

  /** @throws {ConfigError} if the options cannot be used */
  constructor(
    { detect = {}, privacy = {}, llm = {}, key }: DriftlockOptions,
    emit: (event: AnomalyEvent) => void,
    warn: (error: unknown) => void,
  ) {
    const config = parseConfig({ detect, privacy, llm });
    const hashKey = key ?? configuredHashKey(config.detect);
    this.engine = new Engine(config.detect, {
      mode: "all",
      key: hashKey,
      clock: monotonicMs,
      privacy: enginePrivacy(config.privacy, hashKey),
      llm: config.llm,
      // Incidents are formed by a sidecar alone.
      serviceGraphs: false,
      // Each request has a buffer of its own, which nobody writes to any more.
      readInPlace: true,
    });
    this.#emit = emit;
    const log = { error: ({ err }: { err?: unknown }) => warn(err) };
    this.#silence = new SilenceClock(this.engine, ({ reports }) => this.#emitAll(reports), log);
    this.#silence.start();
  }

  /** @param annotate whether the attributes of flagged records are wanted */
  async process(signal: Signal, request: Buffer, annotate: boolean): Promise<Verdict> {
    this.#silence.touch(tenant);
    const { forward, records, flagged, reports } = await this.engine.process(signal, tenant, request);
    this.#emitAll(reports);
    const annotations = annotate && flagged > 0 && forward ? annotationsOf(signal, forward) : new Map();
    return { records, flagged, annotations };
  }

  #emitAll(reports: readonly Report[]): void {
    for (const report of reports) this.#emit(toEvent(report));
  }

  close(): Promise<void> {
    this.#silence.close();
    return this.engine.close();
  }
}

function toEvent(report: Report): AnomalyEvent {
  const { message } = report;
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  return {
    id: message.id,
    state: message.state === State.ENDED ? "ended" : "open",
    stream: message.stream,
    service: message.serviceName,
    signal: signals[message.signal]!,
    channel: channelName(message.channel),
    severity: severityName(message.severity),
    occurrence: Number(message.occurrence),
    news: message.news,
    explanation: message.explanation,
    score: message.score,
    limit: message.limit,
    pValue: message.pValue,
    time: message.timeUnixNano,
    field: message.field,
    text: message.record?.text ?? "",
    value: message.value,
    unit: message.unit,
    traceId: hex(message.traceId),
    spanId: hex(message.spanId),
    report,
  };
}

/** Returns the attributes of all records of a request, in wire order. */
function attributesOf(signal: Signal, request: Uint8Array): KeyValue[][] {
  switch (signal) {
    case "logs":
      return fromBinary(ExportLogsServiceRequestSchema, request).resourceLogs.flatMap(({ scopeLogs }) =>
        scopeLogs.flatMap(({ logRecords }) => logRecords.map(({ attributes }) => attributes)),
      );
    case "traces":
      return fromBinary(ExportTraceServiceRequestSchema, request).resourceSpans.flatMap(({ scopeSpans }) =>
        scopeSpans.flatMap(({ spans }) => spans.map(({ attributes }) => attributes)),
      );
    case "metrics":
      return fromBinary(ExportMetricsServiceRequestSchema, request).resourceMetrics.flatMap(
        ({ scopeMetrics }) =>
          scopeMetrics.flatMap(({ metrics }) =>
            metrics.flatMap(({ data }) => (data.value?.dataPoints ?? []).map(({ attributes }) => attributes)),
          ),
      );
  }
}

function annotationsOf(signal: Signal, request: Uint8Array): Map<number, Annotation> {
  const found = new Map<number, Annotation>();
  for (const [position, attributes] of attributesOf(signal, request).entries()) {
    const own = attributes.filter(({ key }) => key.startsWith("cbad."));
    if (own.length === 0) continue;
    found.set(position, Object.fromEntries(own.map(({ key, value }) => [key, plain(value)])));
  }
  return found;
}

/** Returns a value that the engine has written: a text, a number or a truth value. */
function plain(value: KeyValue["value"]): string | number | boolean {
  const inner = value?.value;
  switch (inner?.case) {
    case "stringValue":
    case "boolValue":
    case "doubleValue":
      return inner.value;
    case "intValue":
      return Number(inner.value);
    default:
      return "";
  }
}
