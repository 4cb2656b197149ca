/** How many incidents people are notified of. */
import { dayMs } from "../base/day.ts";

/** When people were notified within the last day, in milliseconds since 1970. */
export type Notified = number[];

/** The share of the budget that incidents may take which begin by chance; the rest is for real ones. */
const chanceShare = 1 / 20;

/** The number of incidents per day that may begin by chance. */
export function mostPerDay(perTenantPerDay: number): number {
  return perTenantPerDay * chanceShare;
}

/** Takes one notification from the budget. @returns false if nothing is left */
export function takeNotification(notified: Notified, perTenantPerDay: number, now: number): boolean {
  while (notified.length > 0 && notified[0]! + dayMs <= now) notified.shift();
  if (notified.length >= perTenantPerDay) return false;
  notified.push(now);
  return true;
}
