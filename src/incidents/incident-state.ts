/** An open incident: its members, and what its services are known for. */
import type { Severity } from "../gen/driftlock/v1/anomaly_pb.js";
import { Channel } from "../gen/driftlock/v1/anomaly_pb.js";
import type { Change, Join } from "../gen/driftlock/v1/incidents_pb.js";
import type { Beginning } from "./basis.ts";
import { bounds, tickMs } from "./bounds.ts";
import { createExcess, type Excess } from "./excess.ts";
import type { JoinedBy } from "./pending.ts";
import type { Sighting } from "./sighting.ts";

export interface Member {
  sighting: Sighting;
  join: Join;
  by: string;
  start: number;
  end: number;
  flagged: number;
  /** The largest. */
  score: number;
  severity: Severity;
  anomalies: string[];
  traces: string[];
}

export interface Place extends Omit<JoinedBy, "near"> {
  bits: number;
  onset: number;
  newText: boolean;
  kinds: Set<number>;
}

/** Evidence, or another incident, that became part of an incident, and what joins it. */
type Step = JoinedBy & ({ sighting: Sighting; lasts: boolean } | { merged: Kept });

/** What is kept of the course of an incident, so that it can be formed again. */
export interface Kept {
  begun: number;
  beginning: Beginning | null;
  /** The number of steps that it began with. */
  begunWith: number;
  steps: Step[];
  leftOut: number;
}

export interface OpenIncident {
  id: string;
  revision: number;
  /** Milliseconds since 1970, as all times here. */
  start: number;
  end: number;
  /** When it became an incident. */
  begun: number;
  members: Map<string, Member>;
  leftOut: number;
  places: Map<string, Place>;
  hosts: Set<string>;
  traces: Set<string>;
  findings: Set<string>;
  severity: Severity;
  flagged: number;
  excess: Excess;
  /** How rare it was when it began, in bits: see `groupBits`. */
  bits: number;
  changes: Change[];
  minor: boolean;
  /** What it was when it was decided whether it is minor. */
  atFirst: { places: number; severity: Severity };
  expectedBy: string;
  earlier: string[];
  /** What it is computed again from. */
  kept: Kept;
  /** What the last report said, by which it is decided whether there is news. */
  told: { places: number; severity: Severity; flagged: number; ticks: number; minor: boolean };
}

export function createIncident(id: string, now: number, bits: number): OpenIncident {
  return {
    id,
    revision: 0,
    start: Number.POSITIVE_INFINITY,
    end: 0,
    begun: now,
    members: new Map(),
    leftOut: 0,
    places: new Map(),
    hosts: new Set(),
    traces: new Set(),
    findings: new Set(),
    severity: 0,
    flagged: 0,
    excess: createExcess(),
    bits,
    changes: [],
    minor: false,
    atFirst: { places: 0, severity: 0 },
    expectedBy: "",
    earlier: [],
    kept: { begun: now, beginning: null, begunWith: 0, steps: [], leftOut: 0 },
    told: { places: 0, severity: 0, flagged: 0, ticks: 0, minor: false },
  };
}

function keep<T>(into: T[], items: readonly T[], most: number): void {
  for (const item of items) {
    if (into.length >= most) return;
    if (!into.includes(item)) into.push(item);
  }
}

/** Adds a sighting. @param lasts whether it shows that the incident goes on */
export function absorb(incident: OpenIncident, sighting: Sighting, by: JoinedBy, lasts: boolean): void {
  const { place, tick, host, traces, finding, kind, channel, severity, flagged, bits } = sighting;
  incident.start = Math.min(incident.start, tick);
  if (lasts || incident.end === 0) incident.end = Math.max(incident.end, tick + tickMs);
  incident.flagged += flagged;
  incident.severity = Math.max(incident.severity, severity);
  if (host !== "" && incident.hosts.size < bounds.members) incident.hosts.add(host);
  for (const trace of traces) if (incident.traces.size < bounds.tracesPerIncident) incident.traces.add(trace);
  if (incident.findings.size < bounds.findings) incident.findings.add(finding);
  let known = incident.places.get(place);
  if (known === undefined) {
    if (incident.places.size >= bounds.members) {
      incident.leftOut++;
      return;
    }
    known = { join: by.join, by: by.by, bits: 0, onset: tick, newText: false, kinds: new Set() };
    incident.places.set(place, known);
  }
  known.bits += bits;
  known.onset = Math.min(known.onset, tick);
  known.kinds.add(kind);
  if (severity >= graveText && texts.has(channel)) known.newText = true;
  addMember(incident, sighting, by);
}

/** Error texts raise the severity of a record that is otherwise as rare to high. */
const graveText: Severity = 3;
const texts: ReadonlySet<Channel> = new Set([Channel.CONTENT, Channel.NOVELTY]);

function addMember(incident: OpenIncident, sighting: Sighting, { join, by }: JoinedBy): void {
  const { stream, channel, instance, tick, flagged, score, severity, anomalies, traces, bits } = sighting;
  const key = `${stream}\n${channel}\n${instance}`;
  const known = incident.members.get(key);
  if (known === undefined) {
    if (incident.members.size >= bounds.members) {
      incident.leftOut++;
      return;
    }
    incident.members.set(key, {
      sighting,
      join,
      by,
      start: tick,
      end: tick + tickMs,
      flagged,
      score,
      severity,
      anomalies: anomalies.slice(0, bounds.anomaliesPerMember),
      traces: traces.slice(0, bounds.tracesPerMember),
    });
    return;
  }
  known.start = Math.min(known.start, tick);
  known.end = Math.max(known.end, tick + tickMs);
  known.flagged += flagged;
  known.score = Math.max(known.score, score);
  known.severity = Math.max(known.severity, severity);
  keep(known.anomalies, anomalies, bounds.anomaliesPerMember);
  keep(known.traces, traces, bounds.tracesPerMember);
  if (bits > known.sighting.bits) known.sighting = sighting;
}

/** Adds everything that another incident has. */
export function mergeInto(incident: OpenIncident, other: OpenIncident, by: JoinedBy): void {
  incident.start = Math.min(incident.start, other.start);
  incident.end = Math.max(incident.end, other.end);
  incident.severity = Math.max(incident.severity, other.severity);
  incident.flagged += other.flagged;
  incident.leftOut += other.leftOut;
  incident.bits = Math.max(incident.bits, other.bits);
  incident.minor &&= other.minor;
  for (const [name, set] of [
    ["hosts", bounds.members],
    ["traces", bounds.tracesPerIncident],
    ["findings", bounds.findings],
  ] as const) {
    for (const item of other[name]) if (incident[name].size < set) incident[name].add(item);
  }
  const joined = { join: by.join, by: by.by };
  for (const [place, facts] of other.places) {
    const known = incident.places.get(place);
    if (known === undefined) incident.places.set(place, { ...facts, ...(facts.join === 0 && joined) });
    else {
      known.bits += facts.bits;
      known.onset = Math.min(known.onset, facts.onset);
      known.newText ||= facts.newText;
      for (const kind of facts.kinds) known.kinds.add(kind);
    }
  }
  for (const [key, member] of other.members) {
    if (incident.members.has(key)) continue;
    if (incident.members.size >= bounds.members) incident.leftOut++;
    else incident.members.set(key, { ...member, ...(member.join === 0 && joined) });
  }
}

/** What identifies incidents of the same services with the same findings. */
export function fingerprintText({ places, findings }: OpenIncident): string {
  return JSON.stringify([[...places.keys()].sort(), [...findings].sort()]);
}
