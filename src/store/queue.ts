import { Severity } from "../gen/driftlock/v1/anomaly_pb.js";
import type { Report } from "./report.ts";

/** An anomaly's first report above its end, the end above what lies between; the graver above the less. */
function rank({ occurrence, ended, severity }: Report): number {
  const kind = ended ? 1 : occurrence <= 1n ? 2 : 0;
  return kind * ranksAKind + Math.min(Math.max(severity, 0), Severity.CRITICAL);
}

const ranksAKind = Severity.CRITICAL + 1;
const ranks = 3 * ranksAKind;

/** Reports that wait, bounded in bytes. What matters most goes out first; what matters least is dropped, the oldest first. */
export class ReportQueue {
  readonly #maxBytes: number;
  readonly #waiting: Report[][] = Array.from({ length: ranks }, () => []);
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
  push(report: Report): number {
    this.#waiting[rank(report)]!.push(report);
    this.#count(report, 1);
    return this.#trim();
  }

  /** Takes out up to so many reports, and so many bytes but for the first. */
  take(maxReports: number, maxBytes: number): Report[] {
    const taken: Report[] = [];
    let bytes = 0;
    for (const reports of this.#waiting.toReversed()) {
      let n = 0;
      for (const report of reports) {
        bytes += report.size;
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
  putBack(reports: readonly Report[]): number {
    for (const report of reports.toReversed()) {
      this.#waiting[rank(report)]!.unshift(report);
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

  #count({ size }: Report, sign: 1 | -1): void {
    this.#bytes += sign * size;
    this.#length += sign;
  }
}
