/**
 * How often a tenant has evidence of each kind and how large it usually is, by its own past. An observation counts by its age since
 * the tenant began, so that what came first is forgotten: of n observations at ages t, the rate at age T is 2 (t1 + ... + tn) / T^2.
 */
import { dayMs } from "../base/day.ts";
import { Channel } from "../gen/driftlock/v1/anomaly_pb.js";
import { bounds, trim, windowMs } from "./bounds.ts";
import { ownKinds } from "./own-excess.ts";

/** Beyond this age, in days, the past is forgotten exponentially at the rate that the formula has there. */
const oldest = 14;
/** What is assumed before anything is known: a rate of 12 per day, which counts as much as two hours. */
const priorDays = 1 / 12;
const priorRate = 12;
/** Observations of one kind count once per hour and place in the rate of the tenant, so that a burst counts once. */
const episodeMs = 3_600_000;

/** The sizes of the latest observations of a kind, in bits, and the law of the largest of them. */
interface Sizes {
  latest: number[];
  next: number;
  sorted: number[];
}
const sizesHeld = 64;
/** The number of largest sizes that determine the law, and what is assumed about how far they reach beyond the least of them. */
const largest = 8;
const priorReach = 2;

interface Weight {
  /** The sum of the ages, in days, at which it was observed. */
  ages: number;
  last: number;
}

export interface Rates {
  /** Event time that has passed for the tenant, in days, at most `oldest`. */
  age: number;
  /** Since when, in milliseconds since 1970. */
  clock: number;
  kinds: Map<number, Weight & { sizes: Sizes }>;
  places: Map<string, Map<number, Weight>>;
  /** Of the groups of observations that were rarer than once per day by these rates. */
  groups: Weight & { count: number; beyond: number; peak: number };
}

export function createRates(): Rates {
  return {
    age: 0,
    clock: 0,
    kinds: new Map(),
    places: new Map(),
    groups: { ages: 0, last: 0, count: 0, beyond: 0, peak: 0 },
  };
}

/** The longest time without any sign of the tenant that counts as time. */
const longestStep = 60_000;

export function passTime(rates: Rates, now: number): void {
  if (rates.clock === 0) rates.clock = now;
  if (now <= rates.clock) return;
  const days = Math.min(now - rates.clock, longestStep) / dayMs;
  rates.clock = now;
  const age = rates.age + days;
  rates.age = Math.min(oldest, age);
  if (age <= oldest) return;
  const kept = 1 - (2 * days) / oldest;
  rates.groups.ages *= kept;
  for (const kind of rates.kinds.values()) kind.ages *= kept;
  for (const place of rates.places.values()) for (const kind of place.values()) kind.ages *= kept;
}

/** @param unseen the number of times that what was never seen is taken to have been seen */
function perDay({ age }: Rates, ages: number, unseen = 1): number {
  const prior = unseen * (age + priorRate * priorDays ** 2);
  return (2 * ages + prior) / (age ** 2 + priorDays ** 2);
}

/**
 * Channels that compare whole ticks are strange far more rarely than those that look at single records: after the first hours, no
 * tick of volume and two of calls were in ten generated days without faults.
 */
const unseenTicks = 0.1;
const ofTicks: ReadonlySet<number> = new Set([
  Channel.VOLUME,
  Channel.FIELDS,
  Channel.SHIFT,
  Channel.NOVELTY,
]);
const metricsKinds = 512;
function unseenOf(kind: number): number {
  return ownKinds.has(kind) || (kind < metricsKinds && ofTicks.has(kind & 255)) ? unseenTicks : 1;
}

/** Learns an observation. @returns the number of places that were forgotten for it */
export function learn(rates: Rates, place: string, kind: number, bits: number, now: number): number {
  const kinds = rates.places.get(place) ?? new Map<number, Weight>();
  rates.places.delete(place);
  rates.places.set(place, kinds);
  const own = kinds.get(kind) ?? { ages: 0, last: Number.NEGATIVE_INFINITY };
  kinds.set(kind, own);
  const all = rates.kinds.get(kind) ?? { ages: 0, last: 0, sizes: { latest: [], next: 0, sorted: [] } };
  rates.kinds.set(kind, all);
  own.ages += rates.age;
  if (now - own.last >= episodeMs) {
    own.last = now;
    all.ages += rates.age;
    learnSize(all.sizes, bits);
  }
  return trim(rates.places, bounds.places);
}

/** By how many bits the largest known size grows with an observation that began an incident by itself. */
const growth = 4;

/** Learns an observation that began an incident by itself: a few of them make such sizes usual, and the first does not. */
export function learnBeginning(rates: Rates, place: string, kind: number, bits: number, now: number): number {
  const known = rates.kinds.get(kind)?.sizes.sorted[0] ?? 0;
  return learn(rates, place, kind, Math.min(bits, known + growth), now);
}

function learnSize(sizes: Sizes, bits: number): void {
  sizes.latest[sizes.next] = bits;
  sizes.next = (sizes.next + 1) % sizesHeld;
  sizes.sorted = sizes.latest.toSorted((a, b) => b - a);
}

/** The probability of at least this size, by the latest sizes and, beyond them, by an exponential law (peaks over threshold). */
function tail(sizes: Sizes | undefined, bits: number): number {
  const sorted = sizes?.sorted ?? [];
  const n = sorted.length;
  const k = Math.min(largest, n >> 1);
  const threshold = k > 0 ? sorted[k - 1]! : 0;
  if (bits <= threshold) return (sorted.filter((size) => size >= bits).length + 1) / (n + 1);
  let reach = priorReach;
  for (let i = 0; i < k; i++) reach += sorted[i]! - threshold;
  return ((k + 1) / (n + 1)) * Math.exp((-(bits - threshold) * (k + 1)) / reach);
}

/** How many observations per day of at least this size a place has, and how many all places have together. */
export function rateOf(
  rates: Rates,
  place: string,
  kind: number,
  bits: number,
): { own: number; all: number } {
  const known = rates.kinds.get(kind);
  const share = tail(known?.sizes, bits);
  const all = perDay(rates, known?.ages ?? 0, unseenOf(kind)) * share;
  const own = perDay(rates, rates.places.get(place)?.get(kind)?.ages ?? 0, 0);
  return { own: own * share, all };
}

/** How many observations of a kind a place has per day, whatever their size. */
export function ownRate(rates: Rates, place: string, kind: number): number {
  return perDay(rates, rates.places.get(place)?.get(kind)?.ages ?? 0, 0);
}

/**
 * Groups of more bits than this are compared with what there should be: one in so many days, and the bits beyond it follow an
 * exponential law that halves with each bit.
 */
const comparedBits = 3;
const exact = Math.LOG2E;
const priorGroups = 4;

/** Learns the bits of a group of observations. Groups that follow one another closely count once, by the largest. */
export function learnGroup(rates: Rates, bits: number, now: number): void {
  const { groups } = rates;
  const beyond = Math.min(bits - comparedBits, 3 * meanBeyond(rates));
  const goesOn = now - groups.last < windowMs;
  if (beyond <= (goesOn ? groups.peak : 0)) return;
  groups.beyond += goesOn ? beyond - groups.peak : beyond;
  if (!goesOn) {
    groups.ages += rates.age;
    groups.count++;
  }
  groups.peak = beyond;
  groups.last = now;
}

function meanBeyond({ groups: { count, beyond } }: Rates): number {
  return (beyond + exact * priorGroups) / (count + priorGroups);
}

/** Corrects the bits of a group by how often there were such groups, and how large they were. */
export function calibrated(rates: Rates, bits: number): number {
  const expected = 2 ** -comparedBits;
  const often = Math.max(expected, perDay(rates, rates.groups.ages, expected));
  return (bits - comparedBits) * Math.min(1, exact / meanBeyond(rates)) - Math.log2(often);
}
