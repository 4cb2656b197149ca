import { number } from "../parts/format.ts";

/** Formats a cost in the currency of the configured prices, which has no name; null is unknown. */
export const costText = (cost: number | null): string => number(cost, 2);
