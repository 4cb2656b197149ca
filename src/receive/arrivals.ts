import { Code, ExportError } from "../otlp/protocol.ts";
import type { CutReason } from "./hooks.ts";

/** The time after which a refused sender may try again: long enough to reduce the load, short enough for the sender's queue. */
export const retryAfterMs = 1_000;

/** The bytes per second at which a body must arrive on average, and the seconds that it may be behind. */
const minRate = 1_024;
const patience = 10;

/** A body that is this many seconds behind makes room for another request if there is none. */
const stalledAfter = 2;

/** Ends a request whose body does not arrive as it should. */
export class BodyCut extends ExportError {
  readonly reason: CutReason;

  constructor(reason: CutReason) {
    if (reason === "slow") {
      const text = `the body arrives too slowly: fewer than ${minRate} bytes per second over ${patience} s`;
      super(Code.DEADLINE_EXCEEDED, text);
    } else {
      super(Code.UNAVAILABLE, "overloaded, and the body had stalled: its place was given away", retryAfterMs);
    }
    this.reason = reason;
  }
}

interface Arrival {
  readonly cut: (error: ExportError) => void;
  /** Bytes since the last tick. */
  bytes: number;
  /** The seconds during which nothing has to arrive. */
  credit: number;
}

/** The bodies that are arriving, and how fast they arrive. */
export class Arrivals<Permit> {
  readonly #arrivals = new Map<Permit, Arrival>();

  get size(): number {
    return this.#arrivals.size;
  }

  /** @param cut ends the request with an error. */
  begin(permit: Permit, cut: (error: ExportError) => void): void {
    this.#arrivals.set(permit, { cut, bytes: 0, credit: patience });
  }

  progress(permit: Permit, bytes: number): void {
    const arrival = this.#arrivals.get(permit);
    if (arrival !== undefined) arrival.bytes += bytes;
  }

  /** Ends it, with an error if there is one to give. */
  end(permit: Permit, error?: () => ExportError): void {
    const arrival = this.#arrivals.get(permit);
    if (arrival === undefined) return;
    this.#arrivals.delete(permit);
    if (error !== undefined) arrival.cut(error());
  }

  /** To be called once per second. @returns the permits whose bodies come too slowly. */
  tick(): Permit[] {
    const late: Permit[] = [];
    for (const [permit, arrival] of this.#arrivals) {
      arrival.credit = Math.min(patience, arrival.credit - 1 + arrival.bytes / minRate);
      arrival.bytes = 0;
      if (arrival.credit <= 0) late.push(permit);
    }
    return late;
  }

  /** Returns the body that is furthest behind among those for which `matches` holds; undefined if none has stalled. */
  stalled(matches: (permit: Permit) => boolean): Permit | undefined {
    let found: Permit | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const [permit, { credit }] of this.#arrivals) {
      if (credit > patience - stalledAfter || credit >= least || !matches(permit)) continue;
      least = credit;
      found = permit;
    }
    return found;
  }
}
