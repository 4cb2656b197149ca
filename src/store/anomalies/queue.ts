import { type Anomaly, Severity, State } from "../../gen/driftlock/v1/anomaly_pb.js";

/** A pending report. */
export interface Waiting {
  tenant: string;
  id: string;
  /** The report as a driftlock.v1.Anomaly message. */
  bytes: Uint8Array;
  /** From 0 to `maxRank`. Reports of lower rank are dropped sooner and written later. */
  rank: number;
}

const ranksAKind = Severity.CRITICAL + 1;
export const maxRank = 3 * ranksAKind - 1;

/**
 * Ranks an anomaly's first report above its end, and its end above the reports between them; among these, by severity.
 */
export function rankOf({ occurrence, state, severity }: Anomaly): number {
  const kind = state === State.ENDED ? 1 : occurrence <= 1n ? 2 : 0;
  return kind * ranksAKind + Math.min(Math.max(severity, 0), Severity.CRITICAL);
}

/** The size of an entry besides its bytes. */
const entryBytes = 256;

export function sizeOf({ bytes }: Waiting): number {
  return bytes.length + entryBytes;
}

/**
 * Pending reports, bounded in bytes. Reports of the highest rank are written first; those of the lowest rank are dropped
 * first, oldest first.
 */
export class ReportQueue {
  readonly #maxBytes: number;
  /** Pending reports by rank, oldest first. */
  readonly #waiting: Waiting[][] = Array.from({ length: maxRank + 1 }, () => []);
  #bytes = 0;
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#length;
  }

  /**
   * Adds a report.
   * @returns how many reports were dropped to make room, which may include this one
   */
  push(report: Waiting): number {
    this.#waiting[report.rank]!.push(report);
    this.#count(report, 1);
    return this.#trim();
  }

  /** Removes reports up to a number, and up to a size unless the first one is larger. */
  take(maxReports: number, maxBytes: number): Waiting[] {
    const taken: Waiting[] = [];
    let bytes = 0;
    for (const reports of this.#waiting.toReversed()) {
      let n = 0;
      for (const report of reports) {
        bytes += sizeOf(report);
        if (taken.length + n >= maxReports || (bytes > maxBytes && taken.length + n > 0)) break;
        n += 1;
      }
      const complete = n === reports.length;
      for (const report of reports.splice(0, n)) {
        this.#count(report, -1);
        taken.push(report);
      }
      if (!complete) break;
    }
    return taken;
  }

  /**
   * Puts back what `take` returned.
   * @returns as `push` does
   */
  putBack(reports: readonly Waiting[]): number {
    for (const report of reports.toReversed()) {
      this.#waiting[report.rank]!.unshift(report);
      this.#count(report, 1);
    }
    return this.#trim();
  }

  #trim(): number {
    let dropped = 0;
    for (const reports of this.#waiting) {
      while (this.#bytes > this.#maxBytes && reports.length > 0) {
        this.#count(reports.shift()!, -1);
        dropped += 1;
      }
    }
    return dropped;
  }

  #count(report: Waiting, sign: 1 | -1): void {
    this.#bytes += sign * sizeOf(report);
    this.#length += sign;
  }
}
