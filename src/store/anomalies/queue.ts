import { type Anomaly, Severity, State } from "../../gen/driftlock/v1/anomaly_pb.js";

/** A report that waits. */
export interface Waiting {
  /** driftlock.v1.Anomaly */
  bytes: Uint8Array;
  /** 0 to `maxRank`: what has less is dropped sooner, and written later. */
  rank: number;
}

const ranksAKind = Severity.CRITICAL + 1;
export const maxRank = 3 * ranksAKind - 1;

/** An anomaly's first report above its end, the end above what lies between; the graver above the less. */
export function rankOf({ occurrence, state, severity }: Anomaly): number {
  const kind = state === State.ENDED ? 1 : occurrence <= 1n ? 2 : 0;
  return kind * ranksAKind + Math.min(Math.max(severity, 0), Severity.CRITICAL);
}

/** Of an entry, beside its bytes. */
const entryBytes = 256;

export function sizeOf({ bytes }: Waiting): number {
  return bytes.length + entryBytes;
}

/** Reports that wait, bounded in bytes. What matters most goes out first; what matters least is dropped, the oldest first. */
export class ReportQueue {
  readonly #maxBytes: number;
  /** By rank, oldest first. */
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

  /** @returns how many reports were dropped for it, itself perhaps. */
  push(report: Waiting): number {
    this.#waiting[report.rank]!.push(report);
    this.#count(report, 1);
    return this.#trim();
  }

  /** Takes out up to so many reports, and so many bytes but for the first. */
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

  /** Puts back what `take` gave. @returns as `push` does. */
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
