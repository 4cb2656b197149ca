/** Anomalies as OTLP log records, for those that no record of the telemetry shows. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Anomaly, Severity, State } from "../gen/driftlock/v1/anomaly_pb.js";
import { ExportLogsServiceRequestSchema } from "../gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import type { AnyValueSchema, KeyValueSchema } from "../gen/opentelemetry/proto/common/v1/common_pb.js";
import { type LogRecordSchema, SeverityNumber } from "../gen/opentelemetry/proto/logs/v1/logs_pb.js";
import { channelName } from "./names.ts";

/** The event name of these log records. The engine does not judge records with it. */
export const anomalyEventName = "driftlock.anomaly";

type Value = NonNullable<MessageInitShape<typeof AnyValueSchema>["value"]>;
type KeyValue = MessageInitShape<typeof KeyValueSchema>;

const text = (value: string): Value => ({ case: "stringValue", value });
const integer = (value: bigint): Value => ({ case: "intValue", value });
const real = (value: number): Value => ({ case: "doubleValue", value });

const severities: Readonly<Record<Severity, SeverityNumber>> = {
  [Severity.UNSPECIFIED]: SeverityNumber.INFO,
  [Severity.LOW]: SeverityNumber.INFO,
  [Severity.MEDIUM]: SeverityNumber.WARN,
  [Severity.HIGH]: SeverityNumber.ERROR,
  [Severity.CRITICAL]: SeverityNumber.FATAL,
};

/** The attributes of flagged records, and those that such a record does not need. A figure that is not known is absent. */
function attributes(anomaly: Anomaly): KeyValue[] {
  const { window, withheld, state } = anomaly;
  const values: Record<string, Value | undefined> = {
    // For pipelines that do not keep the field.
    "event.name": text(anomalyEventName),
    "cbad.anomaly": { case: "boolValue", value: true },
    "cbad.anomaly.id": text(anomaly.id),
    "cbad.anomaly.state": text(state === State.ENDED ? "ended" : "open"),
    "cbad.anomaly.occurrence": integer(anomaly.occurrence),
    "cbad.stream": text(anomaly.stream),
    "cbad.instance": anomaly.instance === "" ? undefined : text(anomaly.instance),
    ...(state === State.OPEN && {
      "cbad.channel": text(channelName(anomaly.channel)),
      "cbad.score": real(anomaly.score),
      "cbad.p_value": real(anomaly.pValue),
      "cbad.surprise_bits": real(anomaly.surpriseBits),
      "cbad.baseline_bits": anomaly.baselineBits > 0 ? real(anomaly.baselineBits) : undefined,
      ...(window && {
        "cbad.ncd": real(window.ncd),
        "cbad.compression_ratio": real(window.compressionRatio),
        "cbad.delta_bits": real(window.deltaBits),
        "cbad.entropy": real(window.entropy),
        "cbad.codec": text(window.codec),
      }),
      ...(withheld && {
        "cbad.withheld.count": integer(withheld.count),
        "cbad.withheld.channel": text(channelName(withheld.channel)),
        "cbad.withheld.score": real(withheld.score),
        "cbad.withheld.time_unix_nano": integer(withheld.timeUnixNano),
      }),
    }),
    "cbad.explanation": text(anomaly.explanation),
  };
  return Object.entries(values).flatMap(([key, value]) => (value ? [{ key, value: { value } }] : []));
}

function logRecord(anomaly: Anomaly, observedNanos: bigint): MessageInitShape<typeof LogRecordSchema> {
  const severityNumber = severities[anomaly.severity];
  return {
    timeUnixNano: anomaly.timeUnixNano,
    observedTimeUnixNano: observedNanos,
    severityNumber,
    severityText: SeverityNumber[severityNumber],
    eventName: anomalyEventName,
    body: { value: text(anomaly.explanation) },
    attributes: attributes(anomaly),
    traceId: anomaly.traceId,
    spanId: anomaly.spanId,
  };
}

/**
 * Encodes reports of anomalies as an ExportLogsServiceRequest. Each is a log record of the service that it is about, in
 * Driftlock's scope.
 */
export function encodeAnomalyEvents(
  anomalies: readonly Anomaly[],
  version: string,
  observedNanos: bigint,
): Buffer {
  const scope = { name: "driftlock", version };
  const resourceLogs = [...Map.groupBy(anomalies, ({ serviceName }) => serviceName)].map(
    ([service, own]) => ({
      resource: {
        attributes: service === "" ? [] : [{ key: "service.name", value: { value: text(service) } }],
      },
      scopeLogs: [{ scope, logRecords: own.map((anomaly) => logRecord(anomaly, observedNanos)) }],
    }),
  );
  const request = create(ExportLogsServiceRequestSchema, { resourceLogs });
  return Buffer.from(toBinary(ExportLogsServiceRequestSchema, request));
}
