import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { configSchema } from "../../src/config/schema.ts";
import {
  type Anomaly,
  AnomalySchema,
  Channel,
  Severity,
  Signal,
  State,
} from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { type Incident, IncidentSchema } from "../../src/gen/driftlock/v1/incidents_pb.js";
import { type LlmCall, LlmCallSchema } from "../../src/gen/driftlock/v1/llm_pb.js";
import type { StoreOptions, StreamObservation } from "../../src/store/index.ts";
import { createLogger } from "../../src/telemetry/log.ts";

export const versions = { version: "1.2.3", node: "24.0.0", codecs: { openzl: "0.3.0" } };
export const silent = createLogger({ service_name: "test", environment: "test", log_level: "silent" });

/** 2026-01-31T00:00:00Z in nanoseconds since 1970. */
export const midnight = 1_769_817_600_000n * 1_000_000n;

export function id(n: number): string {
  return n.toString(16).padStart(32, "0");
}

type Init = Partial<Exclude<MessageInitShape<typeof AnomalySchema>, Anomaly>>;

/** Builds a report as the engine does. */
export function llmCall(
  init: Partial<Exclude<MessageInitShape<typeof LlmCallSchema>, LlmCall>> = {},
): LlmCall {
  const start = init.startTimeUnixNano ?? midnight;
  return create(LlmCallSchema, {
    id: "0123456789abcdef",
    tenant: "acme",
    conversationId: "conv_1",
    serviceName: "helpdesk",
    agent: "support",
    model: "gpt-5-mini",
    operation: "chat",
    startTimeUnixNano: start,
    endTimeUnixNano: start + 1_000_000_000n,
    ...init,
  });
}

export function report(init: Init = {}): Anomaly {
  const start = init.startTimeUnixNano ?? midnight;
  return create(AnomalySchema, {
    id: id(1),
    tenant: "acme",
    signal: Signal.LOGS,
    stream: "logs service.name=checkout",
    serviceName: "checkout",
    channel: Channel.CONTENT,
    severity: Severity.MEDIUM,
    score: 30,
    limit: 20,
    pValue: 1e-4,
    surpriseBits: 240,
    baselineBits: 12,
    occurrence: 1n,
    explanation: "The record says what the baseline does not",
    record: { text: "connection reset by peer", novel: [{ start: 0, end: 10 }], index: 3 },
    startTimeUnixNano: start,
    endTimeUnixNano: start,
    timeUnixNano: start,
    ...init,
  });
}

/** Builds the engine's statistics of a stream. */
export function observation(init: Partial<StreamObservation> = {}): StreamObservation {
  return {
    tenant: "acme",
    key: "logs service.name=checkout",
    signal: Signal.LOGS,
    service: "checkout",
    state: "watching",
    progress: 1,
    firstSeen: midnight,
    lastSeen: midnight + 10n,
    baselineAt: undefined,
    records: 100n,
    flagged: 0n,
    withheld: 0n,
    score: 0,
    channel: Channel.UNSPECIFIED,
    pValue: 1,
    channelScore: 0,
    limit: 0,
    ...init,
  };
}

/** Builds the report that an anomaly has ended: counts and times, and no verdict. */
export function ending(init: Init = {}): Anomaly {
  const { id, tenant, signal, stream, serviceName, occurrence, startTimeUnixNano, endTimeUnixNano } =
    report(init);
  return create(AnomalySchema, {
    id,
    tenant,
    signal,
    stream,
    serviceName,
    occurrence,
    startTimeUnixNano,
    endTimeUnixNano,
    state: State.ENDED,
    limit: Number.POSITIVE_INFINITY,
  });
}

type StoreInput = { url?: string; retention?: { max_age?: number | string; max_size?: number | string } };

export function storeConfig(data_dir: string, store: StoreInput = {}) {
  return configSchema.parse({ data_dir, store });
}

/** If a test sets the clock forward, time passes: the clock does not step. */
export function options(more: Partial<StoreOptions> = {}): StoreOptions {
  return { log: silent, versions, ...(more.now && { elapsed: more.now }), ...more };
}

type IncidentInit = Partial<Exclude<MessageInitShape<typeof IncidentSchema>, Incident>>;

/** Builds an incident as the former does. */
export function incident(init: IncidentInit = {}): Incident {
  const start = init.startTimeUnixNano ?? midnight;
  return create(IncidentSchema, {
    id: id(1),
    tenant: "acme",
    revision: 1,
    severity: Severity.HIGH,
    startTimeUnixNano: start,
    endTimeUnixNano: start,
    reportedTimeUnixNano: start,
    score: 6,
    pValue: 1e-6,
    sentence: "payment is slow, and checkout waits for it",
    services: ["payment", "checkout"],
    members: [
      {
        signal: Signal.TRACES,
        stream: "traces service.name=payment",
        serviceName: "payment",
        channel: Channel.VALUE,
        startTimeUnixNano: start,
        endTimeUnixNano: start,
        flagged: 3n,
        anomalyIds: [id(11), id(12)],
        traceIds: [new Uint8Array(16).fill(7)],
      },
    ],
    ranking: [
      { service: "payment", seconds: 41.2, reasons: ["its own time is 41.2 s beyond what is usual"] },
    ],
    fingerprint: "7c1f0a5be2d94a66",
    ...init,
  });
}
