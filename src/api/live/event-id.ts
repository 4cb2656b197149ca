/**
 * Ids of events, by which a reader that comes back says what it has had. They hold a time, so that they mean the same to
 * the next process and to others on the same store:
 * `TIME-SEQ` was published at that time, as the process' SEQth event;
 * `TIME.ANOMALY` was told from the store, where the anomaly had changed last at that time.
 * Times are milliseconds since 1970 to the base of 36.
 */
import { steadyClock } from "../../base/clock.ts";

export interface Position {
  time: number;
  /** Of an event that was published; 0 where a time alone is meant. */
  seq?: number;
  /** Of one that was told from the store. */
  anomaly?: string;
}

/** Clocks of processes on the same store may differ by so much. */
const aheadMs = 60_000;

export function formatId({ time, seq = 0, anomaly }: Position): string {
  return `${time.toString(36)}${anomaly === undefined ? `-${seq}` : `.${anomaly}`}`;
}

/** Undefined for what is no id of an event. */
export function parseId(id: string): Position | undefined {
  const [, digits, seq, anomaly] = /^([0-9a-z]{1,9})(?:-(\d{1,15})|\.([0-9A-Za-z_-]{1,64}))$/.exec(id) ?? [];
  if (digits === undefined) return undefined;
  const time = Number.parseInt(digits, 36);
  return anomaly === undefined ? { time, seq: Number(seq) } : { time, anomaly };
}

/** No process can have given the position by now, unless its clock was set back since. */
export function isAhead({ time }: Position): boolean {
  return time > steadyClock.now() + aheadMs;
}
