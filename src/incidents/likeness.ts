/** Which incidents are like one another: for what people have said about one of them, and for those that were seen before. */
import { createHash } from "node:crypto";
import { bounds, trim } from "./bounds.ts";
import type { OpenIncident } from "./incident-state.ts";

/** What an incident shows: kinds of evidence by place. */
export type Traits = ReadonlySet<string>;

export interface Expectation {
  traits: Traits;
  /** Milliseconds since 1970. */
  until: number;
}

/** Something that a person has called false. Incidents like it must be rarer. */
export interface Rejection {
  traits: Traits;
  bits: number;
}

const trait = (place: string, kind: number) => `${place}\n${kind}`;

export function traitsOf(places: Iterable<readonly [string, { kinds: Iterable<number> }]>): Set<string> {
  const traits = new Set<string>();
  for (const [place, { kinds }] of places) for (const kind of kinds) traits.add(trait(place, kind));
  return traits;
}

/** Whether at least half of what an incident shows is among what another one has shown. */
export function isLike(traits: Traits, known: Traits): boolean {
  let common = 0;
  for (const each of traits) if (known.has(each)) common++;
  return traits.size > 0 && 2 * common >= traits.size;
}

/** Identifies incidents of the same services with the same findings. */
export function fingerprintOf({ places, findings }: OpenIncident): string {
  const text = JSON.stringify([[...places.keys()].sort(), [...findings].sort()]);
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

/** The ids of incidents by fingerprint, the latest first. */
export type Earlier = Map<string, string[]>;

/** Notes an incident under its fingerprint. @returns the ids of the other ones that had it */
export function recognise(earlier: Earlier, fingerprint: string, id: string): string[] {
  const others = (earlier.get(fingerprint) ?? []).filter((other) => other !== id);
  earlier.delete(fingerprint);
  earlier.set(fingerprint, [id, ...others].slice(0, bounds.earlier + 1));
  trim(earlier, bounds.fingerprints);
  return others.slice(0, bounds.earlier);
}
