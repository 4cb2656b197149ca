/** Writes an incident as the message that is stored and shown. */
import { create } from "@bufbuild/protobuf";
import { dayMs } from "../base/day.ts";
import { fromHex } from "../base/hex.ts";
import {
  type Candidate,
  CandidateSchema,
  type EdgeFigures,
  EdgeFiguresSchema,
  FiguresSchema,
  type Incident,
  type IncidentMember,
  IncidentMemberSchema,
  IncidentSchema,
  type IncidentState,
} from "../gen/driftlock/v1/incidents_pb.js";
import { bounds, tickMs } from "./bounds.ts";
import { reasonsOf, sentenceOf } from "./describe.ts";
import type { Member, OpenIncident } from "./incident-state.ts";
import { type Ranked, undecided } from "./ranking.ts";

export const nanos = (ms: number) => BigInt(Math.round(ms)) * 1_000_000n;

export interface Telling {
  tenant: string;
  state: IncidentState;
  ranking: readonly Ranked[];
  fingerprint: string;
  basis?: Uint8Array;
  mergedInto?: string;
}

export function toMessage(incident: OpenIncident, telling: Telling): Incident {
  const { tenant, state, ranking, fingerprint, basis, mergedInto = "" } = telling;
  // The bits count days per incident; a tick is so much shorter.
  const bits = incident.bits + Math.log2(dayMs / tickMs);
  const first = ranking.slice(0, bounds.candidates);
  const services = new Set(
    first.map(({ service }) => service).filter((service) => incident.places.has(service)),
  );
  for (const place of incident.places.keys()) services.add(place);
  return create(IncidentSchema, {
    id: incident.id,
    tenant,
    revision: ++incident.revision,
    state,
    severity: incident.severity,
    startTimeUnixNano: nanos(incident.start),
    endTimeUnixNano: nanos(incident.end),
    reportedTimeUnixNano: nanos(incident.begun),
    score: bits * Math.log10(2),
    pValue: Math.min(1, 2 ** -bits),
    minor: incident.minor,
    sentence: sentenceOf(incident, ranking),
    services: [...services],
    members: [...incident.members.values()].map(toMember),
    membersLeftOut: incident.leftOut,
    ranking: first.map((ranked) => toCandidate(ranked, incident)),
    undecided: undecided(ranking),
    graph: edgesOf(incident),
    changes: incident.changes,
    mergedInto,
    fingerprint,
    seenBefore: incident.earlier,
    expectedBy: incident.expectedBy,
    ...(basis && { basis }),
  });
}

function toMember(member: Member): IncidentMember {
  const { sighting, join, by, start, end, flagged, score, severity, anomalies, traces } = member;
  const { signal, stream, service, instance, host, channel, margin, pValue } = sighting;
  return create(IncidentMemberSchema, {
    signal,
    stream,
    serviceName: service,
    instance,
    host,
    channel,
    join,
    joinedBy: by,
    startTimeUnixNano: nanos(start),
    endTimeUnixNano: nanos(end),
    flagged: BigInt(flagged),
    margin,
    pValue,
    score,
    severity,
    anomalyIds: anomalies,
    traceIds: traces.map((trace) => fromHex(trace)),
  });
}

function toCandidate(ranked: Ranked, incident: OpenIncident): Candidate {
  const { service, host, instance, operation, seconds, failures } = ranked;
  const reasons = reasonsOf(ranked, incident);
  return create(CandidateSchema, { service, host, instance, operation, seconds, failures, reasons });
}

/** The calls among the services of the incident and to those that they call. */
function edgesOf({ excess, places }: OpenIncident): EdgeFigures[] {
  return [...excess.edges.values()]
    .filter(({ caller }) => places.has(caller))
    .sort((a, b) => b.now.seconds - b.usual.seconds - (a.now.seconds - a.usual.seconds))
    .slice(0, bounds.edgesPerIncident)
    .map(({ caller, operation, callee, calleeOperation, now, usual }) =>
      create(EdgeFiguresSchema, {
        caller,
        operation,
        callee,
        calleeOperation,
        now: create(FiguresSchema, now),
        usual: create(FiguresSchema, usual),
      }),
    );
}
