/** Compares incidents with the faults that they should be about. */

import type { Fault } from "../../src/generate/topology/fault.ts";
import { faultKinds } from "../../src/generate/topology/fault-kinds.ts";
import type { Incident, Ranked } from "./incident.ts";

/** A run in which faults were injected. */
export interface FaultRun {
  /** The start of the stream, in milliseconds since 1970. */
  start: number;
  /** The faults to be found; what is wrong all the time is not among them. */
  faults: readonly Fault[];
  incidents: readonly Incident[];
}

/** What became of a fault. */
export interface FoundFault {
  fault: Fault;
  /** The number of incidents about it. */
  incidents: number;
  /** Milliseconds from its beginning to the first of them. */
  delay: number | undefined;
  /** The place of its cause in the ranking of the first of them, from 1. */
  rank: number | undefined;
}

/** An incident may be reported so long after the end of its fault. */
const afterMs = 120_000;

function isAbout({ reported, services }: Incident, fault: Fault, start: number): boolean {
  return (
    reported >= start + fault.start &&
    reported <= start + fault.end + afterMs &&
    services.some((service) => fault.services.includes(service))
  );
}

/** Whether a candidate is the cause: its service, its host if the fault is one of a host, or a reader of the cache that it is. */
export function isCause({ service, host }: Ranked, { cause }: Fault): boolean {
  return (
    (host !== undefined && host === cause.host) ||
    (service !== undefined && (service === cause.service || cause.readers?.includes(service) === true))
  );
}

export function foundFaults({ start, faults, incidents }: FaultRun): FoundFault[] {
  return faults.map((fault) => {
    const about = incidents
      .filter((incident) => isAbout(incident, fault, start))
      .sort((a, b) => a.reported - b.reported);
    const [first] = about;
    const at = first?.ranking.findIndex((candidate) => isCause(candidate, fault)) ?? -1;
    return {
      fault,
      incidents: about.length,
      delay: first && first.reported - (start + fault.start),
      rank: at < 0 ? undefined : at + 1,
    };
  });
}

/** The number of incidents of a run that are about none of its faults. */
export function falseIncidents({ start, faults, incidents }: FaultRun): number {
  return incidents.filter((incident) => !faults.some((fault) => isAbout(incident, fault, start))).length;
}

export interface Figures {
  faults: number;
  /** The share of the faults with an incident. */
  found: number;
  /** Incidents per fault that has one. */
  perFault: number;
  /** The shares of the faults whose cause is at rank 1, and within the first three. */
  first: number;
  within3: number;
  /** The median time from the beginning of a fault to its incident, in seconds. */
  medianSeconds: number;
}

const share = <T>(items: readonly T[], is: (item: T) => boolean) => items.filter(is).length / items.length;

/** Sums up the faults of which there is at least one. */
export function figures(results: readonly FoundFault[]): Figures {
  const found = results.filter(({ incidents }) => incidents > 0);
  const delays = found.map(({ delay }) => delay!).sort((a, b) => a - b);
  return {
    faults: results.length,
    found: found.length / results.length,
    perFault: found.reduce((sum, { incidents }) => sum + incidents, 0) / found.length,
    first: share(results, ({ rank }) => rank === 1),
    within3: share(results, ({ rank }) => rank !== undefined && rank <= 3),
    medianSeconds: (delays[delays.length >> 1] ?? Number.NaN) / 1_000,
  };
}

export const spreads = (spread: "spans" | "stream") => (result: FoundFault) =>
  faultKinds[result.fault.kind].spread === spread;
