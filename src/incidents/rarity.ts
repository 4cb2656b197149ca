/** How rare a group of observations is, as the number of such groups that a tenant has per day, in bits. */
import { dayMs, windowMs } from "./bounds.ts";
import type { Group, Observation } from "./pending.ts";
import { calibrated, type Rates, rateOf } from "./rates.ts";

/** The bits by which windows are shorter than a day. */
const windowBits = Math.log2(dayMs / windowMs);

/**
 * The first observation may be any of the tenant's; each further one has to come within the window, from the same surroundings. If
 * they were independent, with r such observations per day in the tenant and s in the surroundings, there would be
 * r1 s2 w s3 w ... such groups per day, where w is the window in days.
 * @param reach the share of the tenant's places that the group and its neighbours are
 * @returns the binary logarithm of how many days there are per group
 */
export function groupBits(rates: Rates, { observations }: Group, reach: number): number {
  let sum = 0;
  let best = Number.NEGATIVE_INFINITY;
  for (const observation of observations) {
    const { first, further } = bitsOf(rates, observation, reach);
    sum += further;
    best = Math.max(best, first - further);
  }
  return sum + best;
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

export function rarityOf(rates: Rates, group: Group, reach: number): { claimed: number; bits: number } {
  const claimed = groupBits(rates, group, reach);
  return { claimed, bits: calibrated(rates, claimed) };
}
