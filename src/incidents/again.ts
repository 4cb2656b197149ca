/** Forms an incident again from its basis: what began it, what joined it, how rare it is, and the ranking of its causes. */
import { type Incident, IncidentState, Join } from "../gen/driftlock/v1/incidents_pb.js";
import type { Basis, BasisEvidence, Beginning, Formation, Held } from "./basis.ts";
import { mostPerDay } from "./budget.ts";
import type { Excess } from "./excess.ts";
import {
  absorb,
  createIncident,
  fingerprintText,
  type Member,
  mergeInto,
  type OpenIncident,
  type Place,
} from "./incident-state.ts";
import { toMessage } from "./message.ts";
import {
  createPending,
  type Group,
  groupOf,
  type JoinedBy,
  type Observation,
  type Pending,
} from "./pending.ts";
import { rankingOf } from "./ranking.ts";
import { rarityOf, reachOf } from "./rarity.ts";
import { createRates, type Rates } from "./rates.ts";
import type { Sighting } from "./sighting.ts";

export interface FormedAgain {
  message: Incident;
  /** Its SHA-256 begins with the fingerprint. */
  fingerprintText: string;
  /** What in the basis contradicts itself, in sentences. */
  faults: string[];
  /** What was taken as it stands, because there was too much to be kept. */
  given: string[];
}

/** @param changes those just before the incident, the latest first, in words */
export function formAgain(
  basis: Basis,
  tenant: string,
  changes: readonly { service: string; text: string }[],
): FormedAgain {
  const notes: Notes = { faults: [], given: [] };
  const { incident } = form(basis.formation, basis, notes);
  if (basis.held !== null) {
    notes.faults.push(...contradictions(incident, basis.held));
    take(incident, basis.held);
    notes.given.push(
      "The first of its evidence is kept, and the sums of all of it are signed as they stand.",
    );
  }
  incident.excess = excessOf(basis);
  const ranking = rankingOf(incident, changes);
  const message = toMessage(incident, { tenant, state: IncidentState.OPEN, ranking, fingerprint: "" });
  return { message, fingerprintText: fingerprintText(incident), ...notes };
}

interface Notes {
  faults: string[];
  given: string[];
}

/** An incident as far as it is formed, with all traces and hosts that evidence may join it by. */
interface Forming {
  incident: OpenIncident;
  traces: Set<string>;
  hosts: Set<string>;
}

function form(formation: Formation, basis: Basis, notes: Notes): Forming {
  const { begun, beginning, begun_with, steps } = formation;
  const group = beginning === null ? undefined : groupAgain(beginning);
  const bits = beginning && group ? bitsAgain(beginning, group, { begun, basis, notes }) : 0;
  if (group === undefined) {
    notes.given.push("What it began with is too much to be kept: its score is signed as it stands.");
  }
  const forming: Forming = { incident: createIncident("", begun, bits), traces: new Set(), hosts: new Set() };
  const { incident, traces, hosts } = forming;
  for (const [i, step] of steps.entries()) {
    if ("merged" in step) {
      const other = form(step.merged, basis, notes);
      for (const trace of other.traces) traces.add(trace);
      for (const host of other.hosts) hosts.add(host);
      mergeInto(incident, other.incident, step);
      continue;
    }
    const { evidence, join, by, near, lasts } = step;
    const first = i < begun_with ? group?.places.get(evidence.place) : undefined;
    const isFirst = i < begun_with && (group === undefined || (first?.join === join && first.by === by));
    if (!isFirst && !isJoined(evidence, { join, by, ...(near !== undefined && { near }) }, forming)) {
      notes.faults.push(`Nothing joins the evidence of ${evidence.stream} by ${by || "the first"}.`);
    }
    absorb(incident, sightingOf(evidence), { join, by }, lasts);
    for (const trace of evidence.traces) traces.add(trace);
    if (evidence.host !== "") hosts.add(evidence.host);
  }
  return forming;
}

function bitsAgain(
  beginning: Beginning,
  group: Group,
  { begun, basis, notes }: { begun: number; basis: Basis; notes: Notes },
): number {
  const { changes } = beginning;
  const { bits } = rarityOf(ratesAgain(beginning), group, { reach: reachOf(beginning), changes, now: begun });
  if (bits < -Math.log2(mostPerDay(basis.budget))) {
    notes.faults.push("What it began with is not rare enough to begin an incident.");
  }
  return bits;
}

/** Whether evidence belongs to an incident by what it says that joins them. */
function isJoined(
  { place, host, traces }: BasisEvidence,
  { join, by, near }: JoinedBy,
  known: Forming,
): boolean {
  switch (join) {
    case Join.TRACE:
      return traces.includes(by) && known.traces.has(by);
    case Join.SERVICE:
      return place === by && known.incident.places.has(place);
    case Join.HOST:
      return host === by && known.hosts.has(host);
    case Join.NEIGHBOUR:
    case Join.CHANGE:
      return near !== undefined && known.incident.places.has(near);
    default:
      return false;
  }
}

function groupAgain({ place, observations, by_place, by_host, related }: Beginning): Group | undefined {
  const pending = createPending();
  const all = observations.map(
    (each): Observation => ({
      ...each,
      places: new Set(each.places),
      hosts: new Set(each.hosts),
      sightings: [],
    }),
  );
  const file = (into: Pending["byPlace"], from: Beginning["by_place"]) => {
    for (const { name, observations: filed } of from)
      into.set(name, new Set(filed.flatMap((i) => all[i] ?? [])));
  };
  file(pending.byPlace, by_place);
  file(pending.byHost, by_host);
  const [first] = all.filter((each) => each.place === place);
  if (first === undefined) return undefined;
  const relations = Map.groupBy(related, (each) => each.place);
  return groupOf(pending, first, (name) =>
    (relations.get(name) ?? []).map(({ near, join, by }) => [near, { join, by }]),
  );
}

function ratesAgain({ rates: { age, kinds, places, groups } }: Beginning): Rates {
  const rates = { ...createRates(), age, groups: { ...groups } };
  for (const { kind, ages, sizes } of kinds) {
    rates.kinds.set(kind, { ages, last: 0, sizes: { latest: sizes, next: 0, sorted: sizes } });
  }
  for (const { place, kind, ages } of places) {
    const own = rates.places.get(place) ?? new Map();
    rates.places.set(place, own.set(kind, { ages, last: 0 }));
  }
  return rates;
}

const sightingOf = ({ p_value, ...evidence }: BasisEvidence): Sighting => ({ ...evidence, pValue: p_value });

function excessOf({ excess: { ticks, operations, edges } }: Basis): Excess {
  return {
    ticks,
    last: 0,
    operations: new Map(operations.map((each, i) => [String(i), each])),
    edges: new Map(
      edges.map(({ callee_operation, ...each }, i) => [
        String(i),
        { ...each, calleeOperation: callee_operation },
      ]),
    ),
  };
}

/** Returns where what was formed from the first steps contradicts the sums of all of them. */
function contradictions({ places, members, flagged }: OpenIncident, held: Held): string[] {
  const faults: string[] = [];
  const stated = new Map(held.places.map((each) => [each.place, each]));
  for (const [place, { join, by }] of places) {
    const other = stated.get(place);
    if (other?.join !== join || other.by !== by)
      faults.push(`The place ${place} is not what its evidence says.`);
  }
  if (flagged > held.flagged || members.size > held.members.length) {
    faults.push("The sums of all evidence are less than those of the first of it.");
  }
  return faults;
}

function take(incident: OpenIncident, held: Held): void {
  const { start, end, severity, flagged, members_left_out, findings, places, members } = held;
  Object.assign(incident, { start, end, severity, flagged, leftOut: members_left_out });
  incident.findings = new Set(findings);
  incident.places = new Map(
    places.map(({ place, new_text, ...each }): [string, Place] => [
      place,
      { ...each, newText: new_text, kinds: new Set() },
    ]),
  );
  incident.members = new Map(
    members.map(({ evidence, ...each }, i): [string, Member] => [
      String(i),
      { ...each, sighting: sightingOf(evidence) },
    ]),
  );
}
