/** How many incidents people are notified of. */
import { dayMs } from "./bounds.ts";

/** When people were notified within the last day, in milliseconds since 1970. */
export type Notified = number[];

/** Of the incidents that begin by chance, the budget pays for so many times as many. The rest is for real ones. */
const falseShare = 1 / 20;
/** On the first day, little is known about what is usual, so evidence must be so many times rarer. */
const firstDayFactor = 8;

/** The number of incidents per day that may begin by chance. */
export function mostPerDay(perTenantPerDay: number, ageDays: number): number {
  return perTenantPerDay * falseShare * (ageDays < 1 ? 1 / firstDayFactor : 1);
}

/** Takes one notification from the budget. @returns false if nothing is left */
export function takeNotification(notified: Notified, perTenantPerDay: number, now: number): boolean {
  while (notified.length > 0 && notified[0]! + dayMs <= now) notified.shift();
  if (notified.length >= perTenantPerDay) return false;
  notified.push(now);
  return true;
}
