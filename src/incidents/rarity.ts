/** How rare a group of observations is, as the number of such groups that a tenant has per day, in bits. */
import { dayMs } from "../base/day.ts";
import { justBeforeMs, windowMs } from "./bounds.ts";
import { ownKinds } from "./own-excess.ts";
import type { Group, Observation } from "./pending.ts";
import { calibrated, learnGroup, type Rates, rateOf } from "./rates.ts";

/** The bits by which windows are shorter than a day. */
const windowBits = Math.log2(dayMs / windowMs);

/** The kinds of own excess share what one kind of evidence may begin by chance. Those of hosts repeat in part what services show. */
const sharedBits = Math.log2(4);

/** The bits of a single observation that is the rarest of a group, and those of the group as a whole. */
interface Bits {
  alone: number;
  together: number;
}

/**
 * The first observation may be any of the tenant's; each further one has to come within the window, from the same surroundings. If
 * they were independent, with r such observations per day in the tenant and s in the surroundings, there would be
 * r1 s2 w s3 w ... such groups per day, where w is the window in days. What has no trace and is seen in the same tick counts once.
 * @param reach the share of the tenant's places that the group and its neighbours are
 */
function groupBits(rates: Rates, { observations }: Group, reach: number): Bits {
  let sum = 0;
  let best = Number.NEGATIVE_INFINITY;
  let alone = Number.NEGATIVE_INFINITY;
  /** What the moments count that have no trace. */
  const moments = new Map<number, number>();
  for (const observation of observations) {
    const { first, further } = bitsOf(rates, observation, reach);
    best = Math.max(best, first - further);
    // One trace is an anomaly, but no incident, however rare it is.
    if (observation.traced) sum += further;
    else {
      moments.set(observation.tick, Math.max(further, moments.get(observation.tick) ?? 0));
      alone = Math.max(alone, first - (ownKinds.has(observation.kind) ? sharedBits : 0));
    }
  }
  for (const further of moments.values()) sum += further;
  return { alone, together: sum + best };
}

function bitsOf(
  rates: Rates,
  { place, kind, bits }: Observation,
  reach: number,
): { first: number; further: number } {
  const { own, all } = rateOf(rates, place, kind, bits);
  return {
    first: -Math.log2(Math.max(own, all)),
    further: Math.max(0, windowBits - Math.log2(Math.max(own, all * Math.min(1, reach)))),
  };
}

/** The share of the tenant's places that a group and its neighbours are. */
export const reachOf = ({ reached, reporting }: { reached: number; reporting: number }) =>
  reached / Math.max(1, reporting);

/**
 * Returns the binary logarithm of how many days there are per group that is at least so rare, and whether a single observation is so
 * rare; learns the group.
 */
export function rarityOf(
  rates: Rates,
  group: Group,
  { reach, changes, now }: { reach: number; changes: number; now: number },
): { bits: number; isSingle: boolean } {
  const { alone, together } = groupBits(rates, group, reach);
  if (group.observations.size < 2 && alone === Number.NEGATIVE_INFINITY)
    return { bits: alone, isSingle: true };
  const claimed = together + (changes > 0 ? changeBits(rates) : 0);
  const bits = calibrated(rates, claimed);
  learnGroup(rates, claimed, now);
  // The rates of single observations are measured, so nothing has to be corrected.
  return alone > bits ? { bits: alone, isSingle: true } : { bits, isSingle: false };
}

/** The kind of a change, which is an observation that begins nothing by itself. */
export const changeKind = 1_024;

/** The bits by which it is rarer that evidence follows a change closely. */
function changeBits(rates: Rates): number {
  return Math.max(0, Math.log2(dayMs / justBeforeMs) - Math.log2(rateOf(rates, "", changeKind, 0).all));
}
