/** When a report is due: it counts from moments and submissions that people enter. */
import { Temporal } from "temporal-polyfill";
import type { Entered, Moment } from "./entered.ts";
import type { DueRule, Template } from "./template.ts";

export interface Due {
  /**
   * `submitted`; `due` or `overdue`; `waiting` for a person to enter what it counts from; `none` if the duty names no time.
   */
  state: "submitted" | "due" | "overdue" | "waiting" | "none";
  /** RFC 3339 in UTC: the earliest time of all rules that can be counted. */
  at?: string;
  /** How it is counted, in sentences. */
  reasons: string[];
  /** The moments and reports whose times are missing. */
  missing: string[];
}

const momentNames: Readonly<Record<Moment, string>> = {
  aware: "the entity became aware of the incident",
  classified: "the incident was classified",
  fix_available: "a fix became available",
};

function amount(duration: Temporal.Duration): string {
  const { months, days, hours } = duration;
  const parts = [
    [months, "month"],
    [days, "day"],
    [hours, "hour"],
  ] as const;
  return parts
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}${count === 1 ? "" : "s"}`)
    .join(" and ");
}

/**
 * Adds a duration in a time zone: hours are counted exactly, and days and months by the calendar, so that they end at the same time of
 * the day, also across a change of the clocks. A month from 31 January ends on the last day of February.
 */
export function addDuration(time: string, duration: string, timeZone: string): string {
  const zoned = Temporal.Instant.from(time).toZonedDateTimeISO(timeZone);
  return zoned.add(duration).toInstant().toString({ smallestUnit: "second" });
}

const before = (a: string, b: string) => Temporal.Instant.compare(a, b) < 0;
const earliest = (times: readonly string[]) => times.reduce((a, b) => (before(b, a) ? b : a));
const latest = (times: readonly string[]) => times.reduce((a, b) => (before(a, b) ? b : a));

/** The time from which a rule counts, and what it is called. */
function anchor({ from }: DueRule, entered: Entered): { at?: string; key: string; text: string } {
  if ("moment" in from) {
    const at = entered.moments[from.moment];
    return { ...(at !== undefined && { at }), key: from.moment, text: momentNames[from.moment] };
  }
  const times = entered.submissions[from.submitted];
  const text = `${from.submitted} was ${from.take === "latest" ? "last " : ""}submitted`;
  if (times === undefined || times.length === 0) return { key: from.submitted, text };
  return { at: from.take === "latest" ? latest(times) : earliest(times), key: from.submitted, text };
}

/** @param now RFC 3339 */
export function dueOf(
  { id, due, dueNote }: Pick<Template, "id" | "due" | "dueNote">,
  entered: Entered,
  timeZone: string,
  now: string,
): Due {
  const reasons: string[] = [];
  const missing: string[] = [];
  const times: string[] = [];
  for (const rule of due) {
    const { at, key, text } = anchor(rule, entered);
    const wait = amount(Temporal.Duration.from(rule.after));
    if (at === undefined) {
      missing.push(key);
      reasons.push(`It is due ${wait} after ${text}, and nobody has entered when that was.`);
      continue;
    }
    const time = addDuration(at, rule.after, timeZone);
    const other = rule.superseded_by === undefined ? undefined : entered.moments[rule.superseded_by];
    if (other !== undefined && before(time, other)) {
      reasons.push(
        `The limit of ${wait} after ${text} does not apply, because ${momentNames[rule.superseded_by!]} later.`,
      );
      continue;
    }
    times.push(time);
    reasons.push(`It is due at ${time}: ${wait} after ${text}.`);
  }
  if (dueNote !== undefined) reasons.push(dueNote);
  const at = times.length === 0 ? {} : { at: earliest(times) };
  const shared = { ...at, reasons, missing };
  if ((entered.submissions[id]?.length ?? 0) > 0) return { state: "submitted", ...shared };
  if (due.length === 0) return { state: "none", ...shared };
  if (at.at === undefined) return { state: "waiting", ...shared };
  return { state: before(at.at, now) ? "overdue" : "due", ...shared };
}
