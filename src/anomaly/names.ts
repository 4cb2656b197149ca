/** The names by which people, the API, the store and labels know what reports number. */
import { Channel, ChannelSchema, Severity, Signal } from "../gen/driftlock/v1/anomaly_pb.js";
import type { StreamState as StreamStateNumber } from "../gen/driftlock/v1/streams_pb.js";

/** Names of the signals in reports, in the order of their numbers. */
export const signalNames = ["logs", "traces", "metrics"] as const;
/** The name of a channel. */
export type ChannelName = Exclude<Lowercase<keyof typeof Channel>, "unspecified">;
/** The numbers of the channels in driftlock.v1, which is where a channel gets its name. */
const channels = Object.fromEntries(
  ChannelSchema.values
    .filter(({ number }) => number !== Channel.UNSPECIFIED)
    .map(({ localName, number }) => [localName.toLowerCase(), number]),
) as Record<ChannelName, Channel>;
/** Names of the channels, in the order of their numbers. */
export const channelNames = Object.keys(channels) as ChannelName[];
/** Names of the severities, from the lowest. */
export const severityNames = ["low", "medium", "high", "critical"] as const;

/** What a person can decide about an anomaly. */
export const dispositions = ["acknowledged", "resolved", "accepted", "false"] as const;
/** A decision of a person about an anomaly. */
export type Disposition = (typeof dispositions)[number];

/** States of an anomaly: `open`, or `ended` after a quiet time without a flag, until a person decides about it. */
export const stateNames = ["open", "ended", ...dispositions] as const;
/** The state of an anomaly. */
export type AnomalyState = (typeof stateNames)[number];

/** What a person can decide about an incident. */
export const incidentVerdicts = ["acknowledged", "resolved", "expected", "false"] as const;
/** A decision of a person about an incident. */
export type IncidentVerdict = (typeof incidentVerdicts)[number];

/** What an incident is as far as its evidence says: `merged` if it is part of another one. */
export const formedStates = ["open", "ended", "merged"] as const;
/** What an incident is, as far as its evidence says. */
export type FormedState = (typeof formedStates)[number];

/** States of an incident: what it is, until a person decides about it. */
export const incidentStates = [...formedStates, ...incidentVerdicts] as const;
/** The state of an incident. */
export type IncidentStateName = (typeof incidentStates)[number];

/** The states of a stream, in the order of their numbers in driftlock.v1. */
export const streamStates = ["learning", "watching", "shelved", "evicted", "limited", "excluded"] as const;
/** The state of a stream: it learns, is watched, was packed, was evicted, is beyond its tenant's quota, or is excluded by a policy. */
export type StreamState = (typeof streamStates)[number];

/** Returns the name of a stream's state. */
export const streamStateName = (state: StreamStateNumber): StreamState => streamStates[state] ?? "learning";

/** The numbers in driftlock.v1. */
const numbers = {
  signal: { logs: Signal.LOGS, traces: Signal.TRACES, metrics: Signal.METRICS },
  channel: channels,
  severity: {
    low: Severity.LOW,
    medium: Severity.MEDIUM,
    high: Severity.HIGH,
    critical: Severity.CRITICAL,
  },
} as const;

export const toSignal = (name: (typeof signalNames)[number]): Signal => numbers.signal[name];
export const toChannel = (name: ChannelName): Channel => numbers.channel[name];
export const toSeverity = (name: (typeof severityNames)[number]): Severity => numbers.severity[name];

/** Returns a function from numbers to names; a number without a name, such as 0 of a channel, is `unspecified`. */
function naming<Name extends string>(
  of: Readonly<Record<Name, number>>,
): (number: number) => Name | "unspecified" {
  const names = new Map(Object.entries<number>(of).map(([name, number]) => [number, name as Name]));
  return (number) => names.get(number) ?? "unspecified";
}

/** Returns the name of a signal's number. */
export const signalName = naming(numbers.signal);
/** Returns the name of a channel's number; `unspecified` for an unknown one. */
export const channelName = naming(numbers.channel);
/** Returns the name of a severity's number; `unspecified` for an unknown one. */
export const severityName = naming(numbers.severity);
