import type { Logger } from "pino";
import { type Report, wholeReport } from "../../anomaly/report.ts";
import { endsWithin } from "../../base/deadline.ts";
import { Pause } from "../../base/pause.ts";
import { checkId, checkTenant } from "../arguments.ts";
import { isBadData, reasonOf } from "../database/errors.ts";
import { ReportQueue, rankOf, sizeOf, type Waiting } from "./queue.ts";

export interface WriterLimits {
  /** Maximum bytes of pending reports. */
  maxBytes: number;
  /** A batch is written when it has this many reports, or when its first report has waited for the given time. */
  batchReports: number;
  batchBytes: number;
  batchMs: number;
  /** The initial delay between attempts while the database is unavailable; it doubles. */
  retryMs: number;
  maxRetryMs: number;
}

export interface WriterState {
  /** The number of pending reports, and their bytes. */
  queued: number;
  queuedBytes: number;
  written: number;
  /** The number of reports dropped for lack of room while the database was unavailable or slow. */
  dropped: number;
  /** The number of reports that the database rejected. */
  rejected: number;
  /** Why the last attempt failed; undefined if it succeeded. */
  failure: string | undefined;
}

const defaults: WriterLimits = {
  maxBytes: 32 * 2 ** 20,
  batchReports: 1_024,
  batchBytes: 4 * 2 ** 20,
  batchMs: 500,
  retryMs: 200,
  maxRetryMs: 5_000,
};

const nothing = { reports: 0, bytes: 0 };

/** The minimum time between log lines with the same message. */
const silenceMs = 10_000;

/** Writes anomalies in batches in the background. It accepts any number at once and never fails. */
export class Writer {
  readonly #record: (reports: readonly Uint8Array[]) => Promise<void>;
  readonly #log: Logger;
  readonly #limits: WriterLimits;
  readonly #queue: ReportQueue;
  /** The batch that is being written. */
  #writing: { reports: number; bytes: number } = nothing;
  #written = 0;
  #dropped = 0;
  #rejected = 0;
  #failure: string | undefined;
  #running: Promise<void> | undefined;
  /** The wait for a batch to fill, or for the next attempt. */
  readonly #pause = new Pause();
  #closing = false;
  /** When each message was last logged. */
  readonly #loggedAt = new Map<string, number>();
  /** How many reports had been dropped when the queue was last empty. */
  #droppedBefore = 0;

  /** Called with the anomalies of reports that were stored. It returns quickly and never throws. */
  onStored: (stored: readonly { tenant: string; id: string }[]) => void = () => {};

  /** @param record stores all driftlock.v1.Anomaly messages or none */
  constructor(
    record: (reports: readonly Uint8Array[]) => Promise<void>,
    log: Logger,
    limits: Partial<WriterLimits> = {},
  ) {
    this.#record = record;
    this.#log = log;
    this.#limits = { ...defaults, ...limits };
    this.#queue = new ReportQueue(this.#limits.maxBytes);
  }

  /** An `AnomalySink`: it returns quickly and never throws. */
  readonly offer = (report: Report): void => {
    const { message } = report;
    try {
      checkTenant(message.tenant);
      checkId("id", message.id);
    } catch (error) {
      this.#reject(error);
      return;
    }
    this.#drop(
      this.#queue.push({
        tenant: message.tenant,
        id: message.id,
        bytes: wholeReport(report),
        rank: rankOf(message),
      }),
    );
    if (this.#queue.length >= this.#limits.batchReports && this.#failure === undefined) this.#pause.end();
    this.#running ??= this.#run();
  };

  state(): WriterState {
    return {
      queued: this.#queue.length + this.#writing.reports,
      queuedBytes: this.#queue.bytes + this.#writing.bytes,
      written: this.#written,
      dropped: this.#dropped,
      rejected: this.#rejected,
      failure: this.#failure,
    };
  }

  /** Resolves when nothing is pending, which may take as long as the database is unavailable. */
  async flush(): Promise<void> {
    while (this.#running !== undefined) {
      this.#pause.end();
      await this.#running;
    }
  }

  /** Writes pending reports for at most `maxMs`. Resolves to the number of reports that were given up. */
  async close(maxMs: number): Promise<number> {
    await endsWithin(maxMs, this.flush());
    this.#closing = true;
    this.#pause.end();
    const lost = this.state().queued;
    if (lost > 0)
      this.#log.error(
        { anomalies: lost },
        "store: anomaly reports were lost because the store is unavailable",
      );
    return lost;
  }

  async #run(): Promise<void> {
    await this.#pause.wait(this.#limits.batchMs);
    let retryMs = this.#limits.retryMs;
    while (this.#queue.length > 0 && !this.#closing) {
      const batch = this.#queue.take(this.#limits.batchReports, this.#limits.batchBytes);
      this.#writing = {
        reports: batch.length,
        bytes: batch.reduce((sum, report) => sum + sizeOf(report), 0),
      };
      const refused = await this.#write(batch);
      this.#writing = nothing;
      if (refused === undefined) {
        if (this.#failure !== undefined) this.#log.info("store: anomaly reports are stored again");
        this.#failure = undefined;
        retryMs = this.#limits.retryMs;
        continue;
      }
      const { reason, left } = refused;
      if (this.#failure === undefined)
        this.#log.warn({ reason }, "store: anomaly reports cannot be stored; they wait in memory");
      this.#failure = reason;
      this.#drop(this.#queue.putBack(left));
      await this.#pause.wait(retryMs);
      retryMs = Math.min(2 * retryMs, this.#limits.maxRetryMs);
    }
    this.#sumUp();
    this.#running = undefined;
  }

  /** Logs the total of dropped reports once the queue is empty, however many lines were omitted. */
  #sumUp(): void {
    const dropped = this.#dropped - this.#droppedBefore;
    this.#droppedBefore = this.#dropped;
    if (dropped === 0) return;
    const fields = { dropped, dropped_since_start: this.#dropped };
    this.#log.warn(fields, "store: anomaly reports were dropped while the store was unavailable or slow");
  }

  /**
   * Writes a batch. Isolates the report that the database rejects, so that it does not delay the others. Resolves to
   * what is left if the database is unavailable.
   */
  async #write(batch: Waiting[]): Promise<{ reason: string; left: Waiting[] } | undefined> {
    const parts = [batch];
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      try {
        await this.#record(part.map(({ bytes }) => bytes));
        this.#written += part.length;
        this.onStored(part);
      } catch (error) {
        if (!isBadData(error)) return { reason: reasonOf(error), left: [part, ...parts.reverse()].flat() };
        if (part.length === 1) {
          this.#reject(error);
          continue;
        }
        const half = part.length >> 1;
        parts.push(part.slice(half), part.slice(0, half));
      }
    }
    return undefined;
  }

  #reject(error: unknown): void {
    this.#rejected += 1;
    this.#warn("an anomaly cannot be stored", { reason: reasonOf(error) });
  }

  #drop(count: number): void {
    if (count === 0) return;
    this.#dropped += count;
    this.#warn("the store is too slow: the least important reports of anomalies were dropped", {
      queued: this.#queue.length,
    });
  }

  #warn(message: string, fields: object): void {
    const now = performance.now();
    if (now - (this.#loggedAt.get(message) ?? Number.NEGATIVE_INFINITY) < silenceMs) return;
    this.#loggedAt.set(message, now);
    this.#log.warn({ ...fields, dropped: this.#dropped, rejected: this.#rejected }, message);
  }
}
