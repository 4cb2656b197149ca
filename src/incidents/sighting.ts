/** Evidence as the former holds it. */
import type { Channel, Severity, Signal } from "../gen/driftlock/v1/anomaly_pb.js";
import type { Evidence } from "../gen/driftlock/v1/incidents_pb.js";

/** What one stream and channel showed in one tick. */
export interface Sighting {
  /** What it is about: the service, or else the host, or else the stream. */
  place: string;
  /** The signal and the channel: evidence of one kind is compared with other evidence of that kind. */
  kind: number;
  signal: Signal;
  channel: Channel;
  stream: string;
  service: string;
  instance: string;
  host: string;
  /** The beginning of the tick, in milliseconds since 1970. */
  tick: number;
  flagged: number;
  margin: number;
  /** The binary logarithm of the margin. */
  bits: number;
  pValue: number;
  severity: Severity;
  anomalies: string[];
  /** Hexadecimal digits. */
  traces: string[];
  finding: string;
}

const finite = (value: number) => (Number.isFinite(value) ? value : 0);

export function toSighting(evidence: Evidence): Sighting {
  const { signal, channel, stream, serviceName, instance, host, margin, pValue } = evidence;
  return {
    place: serviceName || host || stream,
    kind: signal * 256 + channel,
    signal,
    channel,
    stream,
    service: serviceName,
    instance,
    host,
    tick: Number(evidence.tickUnixNano / 1_000_000n),
    flagged: evidence.flagged + evidence.withheld,
    margin: finite(margin),
    bits: Math.log2(Math.max(1, finite(margin))),
    pValue: finite(pValue),
    severity: evidence.severity,
    anomalies: evidence.anomalyIds,
    traces: evidence.traceIds.map((id) => Buffer.from(id).toString("hex")),
    finding: evidence.finding.toString(16),
  };
}

/**
 * Returns the names of what was observed. What is strange in one trace is one observation, in however many services it shows; so is
 * what the metrics of one instance show in one tick, and what a stream shows in a tick without a trace.
 */
export function observationKeys({ traces, signal, place, instance, tick, kind }: Sighting): string[] {
  if (traces.length > 0) return traces;
  return [signal === metrics ? `${place}\n${instance}\n${tick}` : `${place}\n${kind}\n${tick}`];
}

const metrics: Signal = 2;
