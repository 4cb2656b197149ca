/** Maintenance windows and quiet hours. */
import { RRuleTemporal } from "rrule-temporal";
import { Temporal } from "temporal-polyfill";
import type { WindowConfig } from "../config/schema/notify.ts";
import { type Notice, noticeMatcher } from "./notice.ts";

/** The longest that a window may be open at once. */
const maxDays = 31;
/** A rule with a window per minute would be searched for long, and closes nothing for people. */
const tooOften = /\bFREQ=(SECONDLY|MINUTELY)\b/i;

/** Until when what is known of a window holds. */
interface Known {
  from: number;
  until: number;
  open: boolean;
}

export class Window {
  readonly name: string;
  readonly matches: (notice: Notice) => boolean;
  readonly #start: Temporal.ZonedDateTime;
  /** By the clock on the wall, so that a window that ends at six does so on each day. */
  readonly #duration: Temporal.Duration;
  readonly #rule: RRuleTemporal | undefined;
  #known: Known = { from: 0, until: 0, open: false };

  /** @throws {Error} that names the key and the remedy */
  constructor({ name, match, start, end, time_zone, rrule }: WindowConfig) {
    this.name = name;
    this.matches = noticeMatcher(match);
    const from = local("start", start);
    const until = local("end", end);
    if (Temporal.PlainDateTime.compare(until, from) <= 0) throw new Error("end: must be after start");
    this.#duration = from.until(until, { largestUnit: "hour" });
    if (this.#duration.total("hours") > maxDays * 24) {
      throw new Error(`end: must be at most ${maxDays} days after start; repeat the window with rrule`);
    }
    try {
      this.#start = from.toZonedDateTime(time_zone);
    } catch {
      throw new Error(`time_zone: ${time_zone} is not known; use a name such as Europe/Berlin`);
    }
    if (rrule === undefined) return;
    if (tooOften.test(rrule)) throw new Error("rrule: must repeat at most once an hour");
    try {
      this.#rule = new RRuleTemporal({
        rruleString: rrule.replace(/^RRULE:/i, ""),
        dtstart: this.#start as never,
        strict: true,
      });
    } catch (error) {
      throw new Error(
        `rrule: ${(error as Error).message}; see RFC 5545, for example FREQ=WEEKLY;BYDAY=SA,SU`,
      );
    }
  }

  /** Returns when the window closes, in milliseconds since 1970; undefined if it is not open. */
  openUntil(now: number): number | undefined {
    const { from, until } = this.#known;
    if (now < from || now >= until) this.#known = this.#at(now);
    return this.#known.open ? this.#known.until : undefined;
  }

  #at(now: number): Known {
    const latest = this.#latest(now);
    if (latest !== undefined) {
      const end = this.#endOf(latest);
      if (now < end) return { from: now, until: end, open: true };
    }
    return { from: now, until: this.#next(now) ?? Number.POSITIVE_INFINITY, open: false };
  }

  #latest(now: number): Temporal.ZonedDateTime | undefined {
    if (this.#rule === undefined) return this.#start.epochMilliseconds <= now ? this.#start : undefined;
    const found = this.#rule.previous(new Date(now), true);
    return found === null ? undefined : toZoned(found.toString());
  }

  #next(now: number): number | undefined {
    if (this.#rule === undefined) {
      const start = this.#start.epochMilliseconds;
      return start > now ? start : undefined;
    }
    const found = this.#rule.next(new Date(now), false);
    return found === null ? undefined : toZoned(found.toString()).epochMilliseconds;
  }

  #endOf(start: Temporal.ZonedDateTime): number {
    const end = start.toPlainDateTime().add(this.#duration);
    return end.toZonedDateTime(start.timeZoneId).epochMilliseconds;
  }
}

const toZoned = (text: string) => Temporal.ZonedDateTime.from(text);

function local(key: string, text: string): Temporal.PlainDateTime {
  try {
    return Temporal.PlainDateTime.from(text, { overflow: "reject" });
  } catch {
    throw new Error(`${key}: ${text} is no date and time of day`);
  }
}
