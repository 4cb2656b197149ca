/** Which incidents are like one another: for what people have said about one of them, and for those that were seen before. */
import { createHash } from "node:crypto";
import { bounds, trim } from "./bounds.ts";
import { fingerprintText, type OpenIncident } from "./incident-state.ts";
import type { Sighting } from "./sighting.ts";

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

/** What is known of evidence, be it held or in the message of an incident. */
type Shown = Pick<Sighting, "place" | "signal" | "channel">;

export function traitsOf(evidence: Iterable<Shown>): Set<string> {
  const traits = new Set<string>();
  for (const { place, signal, channel } of evidence) traits.add(`${place}\n${signal}\n${channel}`);
  return traits;
}

/** Whether at least half of what an incident shows is among what another one has shown. */
export function isLike(traits: Traits, known: Traits): boolean {
  let common = 0;
  for (const each of traits) if (known.has(each)) common++;
  return traits.size > 0 && 2 * common >= traits.size;
}

/** Identifies incidents of the same services with the same findings. */
export function fingerprintOf(incident: OpenIncident): string {
  return createHash("sha256").update(fingerprintText(incident)).digest("hex").slice(0, 32);
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
