/**
 * Ids of events, by which a returning reader names the last event that it received. They contain a time, so that they
 * have the same meaning for the next process and for others on the same store: `TIME-SEQ` was published at that time, as
 * event number SEQ of the process; `TIME.ITEM` was read from the store, where the anomaly or incident had last changed at
 * that time. Times are milliseconds since 1970 in base 36.
 */
import { steadyClock } from "../../base/clock.ts";

export interface Position {
  time: number;
  /** The number of a published event; 0 if only the time matters. */
  seq?: number;
  /** The id of what an event that was read from the store is about. */
  item?: string;
}

/** The tolerated difference between the clocks of processes on the same store. */
const aheadMs = 60_000;

export function formatId({ time, seq = 0, item }: Position): string {
  return `${time.toString(36)}${item === undefined ? `-${seq}` : `.${item}`}`;
}

/** Parses an event's id; undefined if it is not one. */
export function parseId(id: string): Position | undefined {
  const [, digits, seq, item] = /^([0-9a-z]{1,9})(?:-(\d{1,15})|\.([0-9A-Za-z_-]{1,64}))$/.exec(id) ?? [];
  if (digits === undefined) return undefined;
  const time = Number.parseInt(digits, 36);
  return item === undefined ? { time, seq: Number(seq) } : { time, item };
}

/** Returns whether the position is in the future, which happens only if a clock was set back. */
export function isAhead({ time }: Position): boolean {
  return time > steadyClock.now() + aheadMs;
}
