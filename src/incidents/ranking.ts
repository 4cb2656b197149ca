/**
 * Ranks the candidates for the cause of an incident by what they took of their own beyond what is usual. Time and failures are
 * conserved along the calls, so the excess of a service less that of its callees is its own, and a caller that waits for a slow
 * callee, or fails because of it, has none. Statistics such as z-scores are not comparable between services.
 */
import type { Excess, Part } from "./excess.ts";
import { partsOf } from "./excess.ts";
import type { OpenIncident } from "./incident-state.ts";

/** The seconds that a failure counts as: what fails fast takes less time than usual, so failures must count on their own. */
const secondsPerFailure = 1;
/**
 * A host stands before the services on it if it explains so many times what the first of them does: then what they have in common
 * is the host.
 */
const hostFactor = 1.5;
/** Excesses that are at least this share of the first one are alike. */
export const alike = 0.8;
/** An instance has the excess of its service if it has at least this share of it and there are others. */
const mostOfIt = 0.7;

/** What is known about a place beside its excess. */
export interface PlaceFacts {
  /** The bits of its evidence. */
  bits: number;
  /** When its evidence began, in milliseconds since 1970. */
  onset: number;
  /** Whether it has new error texts. */
  newText: boolean;
  /** What changed just before, in words. */
  change: string | undefined;
}

export interface Ranked {
  service: string;
  host: string;
  instance: string;
  operation: string;
  seconds: number;
  failures: number;
  /** Its parts, the largest first. */
  parts: Part[];
  facts: PlaceFacts | undefined;
}

export const weightOf = ({ seconds, failures }: Pick<Ranked, "seconds" | "failures">) =>
  seconds + secondsPerFailure * failures;

function groupBy(parts: readonly Part[], keyOf: (part: Part) => string): Map<string, Part[]> {
  const groups = new Map<string, Part[]>();
  for (const part of parts) {
    const key = keyOf(part);
    if (key === "") continue;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [part]);
    else group.push(part);
  }
  return groups;
}

const heaviest = (groups: ReadonlyMap<string, readonly Part[]>): [string, number] | undefined =>
  [...groups]
    .map(([key, parts]): [string, number] => [key, parts.reduce((sum, part) => sum + weightOf(part), 0)])
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))[0];

function rankedOf(name: { service: string; host: string }, parts: readonly Part[]): Ranked {
  const sorted = parts.toSorted((a, b) => weightOf(b) - weightOf(a));
  const total = sorted.reduce((sum, part) => sum + weightOf(part), 0);
  const instance = heaviest(groupBy(sorted, (part) => part.instance || part.host));
  const concentrated = name.host === "" && instance !== undefined && instance[1] >= mostOfIt * total;
  return {
    ...name,
    instance: concentrated ? instance[0] : "",
    operation: name.host === "" ? (heaviest(groupBy(sorted, ({ operation }) => operation))?.[0] ?? "") : "",
    seconds: sorted.reduce((sum, { seconds }) => sum + seconds, 0),
    failures: sorted.reduce((sum, { failures }) => sum + failures, 0),
    parts: sorted,
    facts: undefined,
  };
}

/**
 * Returns the candidates, the likeliest first. Those without spans come behind, by the rarity of their evidence.
 * @param places what is known about the services of the incident
 */
export function rank(excess: Excess, places: ReadonlyMap<string, PlaceFacts>): Ranked[] {
  const parts = partsOf(excess);
  const services = [...groupBy(parts, ({ service }) => service)].map(([service, own]) => ({
    ...rankedOf({ service, host: "" }, own),
    facts: places.get(service),
  }));
  services.sort(compare);
  raiseExplained(services);
  const several = [...groupBy(parts, ({ host }) => host)].filter(
    ([, own]) => new Set(own.map(({ service }) => service)).size > 1,
  );
  const host = several
    .map(([name, own]) => rankedOf({ service: "", host: name }, own))
    .sort((a, b) => weightOf(b) - weightOf(a))[0];
  const [first] = services;
  if (host && first && weightOf(host) > hostFactor * weightOf(first)) services.unshift(host);
  const others = [...places]
    .filter(([place]) => !services.some(({ service }) => service === place))
    .sort(([, a], [, b]) => b.bits - a.bits || a.onset - b.onset)
    .map(([service, facts]) => ({ ...rankedOf({ service, host: "" }, []), facts }));
  return [...services, ...others];
}

function compare(a: Ranked, b: Ranked): number {
  const onset = ({ facts }: Ranked) => facts?.onset ?? Number.POSITIVE_INFINITY;
  return weightOf(b) - weightOf(a) || onset(a) - onset(b) || (a.service < b.service ? -1 : 1);
}

/** Whether something beside its excess speaks for a candidate. */
const explained = ({ facts }: Ranked) => Number(facts?.newText ?? false) + (facts?.change ? 2 : 0);

/** Of the candidates whose excess is like that of the first, puts those first for which something else speaks. */
function raiseExplained(services: Ranked[]): void {
  const [first] = services;
  if (first === undefined) return;
  const least = alike * weightOf(first);
  const end = services.findIndex((service) => weightOf(service) < least);
  const top = services.slice(0, end < 0 ? undefined : end).sort((a, b) => explained(b) - explained(a));
  services.splice(0, top.length, ...top);
}

/** Returns the candidates of an incident. @param changes those just before it, the latest first, in words */
export function rankingOf(
  { excess, places }: OpenIncident,
  changes: readonly { service: string; text: string }[],
): Ranked[] {
  const facts = new Map<string, PlaceFacts>();
  for (const [place, { bits, onset, newText }] of places) {
    facts.set(place, {
      bits,
      onset,
      newText,
      change: changes.find(({ service }) => service === place)?.text,
    });
  }
  return rank(excess, facts);
}

/** Says why the order of the first two is uncertain, if it is. */
export function undecided([first, second]: readonly Ranked[]): string {
  if (first === undefined) return "";
  if (weightOf(first) === 0)
    return "no span shows what took longer or failed, so the order follows the rarity of the evidence alone";
  if (second === undefined || weightOf(second) < alike * weightOf(first) || first.host !== "") return "";
  if (explained(first) > explained(second)) return "";
  return `${first.service} and ${second.service} took about as much of their own, and nothing else tells them apart`;
}
