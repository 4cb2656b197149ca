/** Evidence as the former holds it. */
import { toHex } from "../base/hex.ts";
import { Channel, type Severity, Signal } from "../gen/driftlock/v1/anomaly_pb.js";
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
  /** The channel's score; 0 if the stream cannot learn it. */
  score: number;
  severity: Severity;
  anomalies: string[];
  /** Hexadecimal digits. */
  traces: string[];
  finding: string;
  /** Whether it is about values that stay unusual, which are one observation as long as they do. */
  lasts?: boolean;
  /** What it is an observation of, if that is not one of its traces, nor its place in its tick. */
  observation?: string;
}

/** What stays unusual is of another kind than what is unusual for once. */
const lastingKinds = 2_048;

const finite = (value: number) => (Number.isFinite(value) ? value : 0);

export function toSighting(evidence: Evidence): Sighting {
  const { signal, channel, stream, serviceName, instance, host, margin, pValue, lasts } = evidence;
  const place = serviceName || host || stream;
  return {
    place,
    kind: signal * 256 + channel + (lasts ? lastingKinds : 0),
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
    score: finite(evidence.score),
    severity: evidence.severity,
    anomalies: evidence.anomalyIds,
    traces: evidence.traceIds.map(toHex),
    finding: evidence.finding.toString(16),
    ...(lasts && { lasts, observation: `${place}\n${stream}\n${instance}` }),
  };
}

/**
 * The channels whose reports without a trace are about what was seen already: those that look at one record after the other, and
 * the one that looks at streams together.
 */
const afterwards: ReadonlySet<Channel> = new Set([
  Channel.CONTENT,
  Channel.SEQUENCE,
  Channel.VALUE,
  Channel.GROUP,
]);

/**
 * Returns the names of what was observed. What is strange in one trace is one observation, in however many services it shows; so is
 * what the metrics of a service show in one tick, and what else a service shows in one way, in however many ticks. Undefined if it
 * is an aftermath of what the place has shown before, such as the end of a session.
 */
export function observationKeys(sighting: Sighting): string[] | undefined {
  const { observation, traces, signal, channel, place, tick, kind } = sighting;
  if (observation !== undefined) return [observation];
  if (traces.length > 0) return traces;
  if (signal === Signal.METRICS && channel !== Channel.GROUP) return [`${place}\n${tick}`];
  return afterwards.has(channel) ? undefined : [`${place}\n${kind}`];
}
