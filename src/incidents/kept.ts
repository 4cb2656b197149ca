/** What is kept of the course of an open incident, so that it can be computed again, and how that becomes its basis. */
import type { Basis, BasisEvidence, Beginning, Formation, Held } from "./basis.ts";
import { bounds } from "./bounds.ts";
import type { Kept, OpenIncident } from "./incident-state.ts";
import type { Group, Observation, Pending, Relation } from "./pending.ts";
import { changeKind } from "./rarity.ts";
import type { Rates } from "./rates.ts";
import type { Sighting } from "./sighting.ts";

/** The number of steps, those of merged incidents included. */
export function stepsOf({ steps }: Kept): number {
  return steps.reduce((sum, step) => sum + 1 + ("merged" in step ? stepsOf(step.merged) : 0), 0);
}

/** Where a group was found, and what it was compared with. */
export interface Found {
  group: Group;
  first: Observation;
  groups: Rates["groups"];
  reached: number;
  reporting: number;
  changes: number;
}

/** Returns what a group of observations was compared with; null if that is too much. */
export function beginningOf(
  { group, first, groups, reached, reporting, changes }: Found,
  { rates, pending }: { rates: Rates; pending: Pending },
  related: (place: string) => Iterable<Relation>,
): Beginning | null {
  const observations = [...group.observations];
  if (observations.length > bounds.keptObservations) return null;
  const index = new Map(observations.map((observation, i) => [observation, i]));
  const filed = (of: Map<string, Set<Observation>>, name: string) => ({
    name,
    observations: [...(of.get(name) ?? [])].flatMap((each) => index.get(each) ?? []),
  });
  const places = [...group.places.keys()];
  const kinds = new Set([...observations.map(({ kind }) => kind), changeKind]);
  return {
    place: first.place,
    rates: {
      age: rates.age,
      kinds: [...kinds].flatMap((kind) => {
        const known = rates.kinds.get(kind);
        return known ? [{ kind, ages: known.ages, sizes: [...known.sizes.sorted] }] : [];
      }),
      places: observations.flatMap(({ place, kind }) => {
        const own = rates.places.get(place)?.get(kind);
        return own ? [{ place, kind, ages: own.ages }] : [];
      }),
      groups,
    },
    observations: observations.map((each) => ({
      key: each.key,
      kind: each.kind,
      place: each.place,
      places: [...each.places],
      hosts: [...each.hosts],
      bits: each.bits,
      tick: each.tick,
      traced: each.traced,
    })),
    by_place: places.map((name) => filed(pending.byPlace, name)),
    by_host: [...new Set(observations.flatMap(({ hosts }) => [...hosts]))].map((name) =>
      filed(pending.byHost, name),
    ),
    related: places.flatMap((place) =>
      [...related(place)]
        .filter(([near]) => group.places.has(near))
        .map(([near, { join, by }]) => ({ place, near, join, by })),
    ),
    reached,
    reporting,
    changes,
  };
}

function evidenceOf(sighting: Sighting): BasisEvidence {
  const { lasts: _, observation: __, pValue, ...shown } = sighting;
  return { ...shown, p_value: pValue };
}

function formationOf({ begun, beginning, begunWith, steps, leftOut }: Kept): Formation {
  return {
    begun,
    beginning,
    begun_with: begunWith,
    steps: steps.map((step) => {
      if ("merged" in step) return { ...step, merged: formationOf(step.merged) };
      const { sighting, ...rest } = step;
      return { ...rest, evidence: evidenceOf(sighting) };
    }),
    left_out: leftOut,
  };
}

const isWhole = ({ leftOut, steps }: Kept): boolean =>
  leftOut === 0 && steps.every((step) => !("merged" in step) || isWhole(step.merged));

function heldBy(incident: OpenIncident): Held {
  const { start, end, severity, flagged, leftOut, findings, places, members } = incident;
  return {
    start,
    end,
    severity,
    flagged,
    members_left_out: leftOut,
    findings: [...findings],
    places: [...places].map(([place, { join, by, bits, onset, newText }]) => ({
      place,
      join,
      by,
      bits,
      onset,
      new_text: newText,
    })),
    members: [...members.values()].map(({ sighting, ...rest }) => ({
      ...rest,
      evidence: evidenceOf(sighting),
    })),
  };
}

/** Returns what the next revision of an incident is computed from. */
export function basisOf(incident: OpenIncident, budget: number): Basis {
  const { kept, excess, revision } = incident;
  return {
    revision: revision + 1,
    budget,
    formation: formationOf(kept),
    excess: {
      ticks: excess.ticks,
      operations: [...excess.operations.values()],
      edges: [...excess.edges.values()].map(({ calleeOperation, ...edge }) => ({
        ...edge,
        callee_operation: calleeOperation,
      })),
    },
    held: isWhole(kept) ? null : heldBy(incident),
  };
}

/** Returns the basis as JSON in UTF-8; empty if it has figures that no JSON can hold, which only senders make that send such. */
export function encodeBasis(basis: Basis): Uint8Array {
  let finite = true;
  const text = JSON.stringify(basis, (_, value: unknown) => {
    if (typeof value === "number" && !Number.isFinite(value)) finite = false;
    return value;
  });
  return finite && text.isWellFormed() ? new TextEncoder().encode(text) : new Uint8Array();
}
