/** An incident as lists show it: its row, and its latest revision without what is large. */
import { create, fromBinary } from "@bufbuild/protobuf";
import type { FormedState, IncidentStateName } from "../../anomaly/names.ts";
import { type Incident, IncidentSchema, IncidentState } from "../../gen/driftlock/v1/incidents_pb.js";

export interface IncidentSummary {
  /** The latest revision without its members, graph and changes, and with the likeliest cause alone. */
  message: Incident;
  state: IncidentStateName;
  /** Until when a person expects more like it, in milliseconds since 1970. */
  expectedUntil: number | undefined;
  /** The number of members. */
  members: number;
  /** When the first and the latest revision were stored, or a person decided, in milliseconds since 1970. */
  recordedAt: number;
  changedAt: number;
}

export const summaryColumns = [
  "state",
  "expected_until",
  "merged_into",
  "members",
  "recorded_at",
  "changed_at",
  "summary",
] as const;

export interface SummaryRow {
  state: string;
  expected_until: bigint | null;
  merged_into: string | null;
  members: bigint;
  recorded_at: bigint;
  changed_at: bigint;
  summary: Uint8Array;
}

export function formedState({ state }: Incident): FormedState {
  return state === IncidentState.MERGED ? "merged" : state === IncidentState.ENDED ? "ended" : "open";
}

/** Returns the incident without what is large, and with the likeliest cause alone. */
export function abridged(incident: Incident): Incident {
  const ranking = incident.ranking.slice(0, 1);
  return create(IncidentSchema, {
    ...incident,
    members: [],
    ranking,
    graph: [],
    changes: [],
    basis: new Uint8Array(),
  });
}

export function toSummary(row: SummaryRow): IncidentSummary {
  const message = fromBinary(IncidentSchema, row.summary);
  return {
    // What it was merged into may itself be part of another incident by now.
    message: { ...message, mergedInto: row.merged_into ?? "" },
    state: row.state as IncidentStateName,
    expectedUntil: row.expected_until === null ? undefined : Number(row.expected_until),
    members: Number(row.members),
    recordedAt: Number(row.recorded_at),
    changedAt: Number(row.changed_at),
  };
}
