/** The downstream: incidents as OTLP log records. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { Exporter } from "../../forward/index.ts";
import { ExportLogsServiceRequestSchema } from "../../gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import type { AnyValueSchema } from "../../gen/opentelemetry/proto/common/v1/common_pb.js";
import { SeverityNumber } from "../../gen/opentelemetry/proto/logs/v1/logs_pb.js";
import { isRetryable } from "../../otlp/codes.ts";
import { ExportError } from "../../otlp/protocol.ts";
import { type Channel, DeliveryError, type Message } from "../channel.ts";
import type { Severity } from "../notice.ts";

/** The event name of these log records. The engine does not judge records with it. */
export const incidentEventName = "driftlock.incident";

const severities: Readonly<Record<Severity, SeverityNumber>> = {
  low: SeverityNumber.INFO,
  medium: SeverityNumber.WARN,
  high: SeverityNumber.ERROR,
  critical: SeverityNumber.FATAL,
};

type Value = MessageInitShape<typeof AnyValueSchema>;

const text = (value: string): Value => ({ value: { case: "stringValue", value } });
const texts = (values: readonly string[]): Value => ({
  value: { case: "arrayValue", value: { values: values.map(text) } },
});

export interface OtlpParts {
  forwarder: Exporter;
  version: string;
}

export function otlp({ forwarder, version }: OtlpParts): Channel {
  return {
    name: "otlp",
    type: "otlp",
    matches: () => true,
    async send(message, abort) {
      // There is no limit per hour, so there are no summaries.
      if (message.kind === "summary") return;
      if (!(await forwarder.takes("logs"))) throw new DeliveryError("the downstream takes no logs");
      try {
        await forwarder.export("logs", encode(message, version), abort);
      } catch (error) {
        if (!(error instanceof ExportError)) throw error;
        const { code, retryAfterMs } = error;
        throw new DeliveryError(error.message, { retryAfterMs, permanent: !isRetryable(code, retryAfterMs) });
      }
    },
  };
}

function encode({ notice }: Exclude<Message, { kind: "summary" }>, version: string): Buffer {
  const { tenant, incident, state, severity, title, sentence, services, causes, startsAt, endsAt, link } =
    notice;
  const severityNumber = severities[severity];
  const attributes: Record<string, Value> = {
    // For pipelines that do not keep the field.
    "event.name": text(incidentEventName),
    "driftlock.tenant": text(tenant),
    "driftlock.incident.id": text(incident),
    "driftlock.incident.state": text(state),
    "driftlock.incident.severity": text(severity),
    "driftlock.incident.title": text(title),
    "driftlock.incident.services": texts(services),
    "driftlock.incident.causes": texts(causes.map(({ service, reason }) => `${service}: ${reason}`)),
    ...(link !== undefined && { "driftlock.incident.link": text(link) }),
  };
  const record = {
    timeUnixNano: nanos(endsAt ?? startsAt),
    observedTimeUnixNano: nanos(Date.now()),
    severityNumber,
    severityText: SeverityNumber[severityNumber],
    eventName: incidentEventName,
    body: text(sentence),
    attributes: keyValues(attributes),
  };
  const service = causes[0]?.service ?? services[0];
  const resource = { attributes: keyValues(service === undefined ? {} : { "service.name": text(service) }) };
  const scopeLogs = [{ scope: { name: "driftlock", version }, logRecords: [record] }];
  const request = create(ExportLogsServiceRequestSchema, { resourceLogs: [{ resource, scopeLogs }] });
  return Buffer.from(toBinary(ExportLogsServiceRequestSchema, request));
}

const nanos = (ms: number) => BigInt(Math.round(ms)) * 1_000_000n;
const keyValues = (values: Record<string, Value>) =>
  Object.entries(values).map(([key, value]) => ({ key, value }));
