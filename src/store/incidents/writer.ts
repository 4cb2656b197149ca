import type { Logger } from "pino";
import { endsWithin } from "../../base/deadline.ts";
import { Pause } from "../../base/pause.ts";
import type { Change, Incident } from "../../gen/driftlock/v1/incidents_pb.js";
import { checkId, checkTenant } from "../arguments.ts";
import { isBadData, reasonOf } from "../database/errors.ts";
import type { IncidentBatch } from "./record.ts";
import type { IncidentSummary } from "./summary.ts";

export interface IncidentWriterLimits {
  /** Maximum number of incidents and of changes that wait. */
  maxWaiting: number;
  /** The number of each that is written at once. */
  batch: number;
  /** The initial delay between attempts while the database is unavailable; it doubles. */
  retryMs: number;
  maxRetryMs: number;
}

export interface IncidentWriterState {
  queued: number;
  written: number;
  /** The number that was dropped for lack of room while the database was unavailable or slow. */
  dropped: number;
  /** The number that the database rejected. */
  rejected: number;
  /** Why the last attempt failed; undefined if it succeeded. */
  failure: string | undefined;
}

const defaults: IncidentWriterLimits = {
  maxWaiting: 2_000,
  batch: 50,
  retryMs: 200,
  maxRetryMs: 5_000,
};

/**
 * Writes incidents and changes in the background. Of an incident only the latest revision waits, so that a store that is away delays
 * what was last known, and nothing else. It never fails.
 */
export class IncidentWriter {
  readonly #record: (batch: IncidentBatch) => Promise<IncidentSummary[]>;
  readonly #log: Logger;
  readonly #limits: IncidentWriterLimits;
  /** What waits, by tenant and id, longest first. */
  #incidents = new Map<string, Incident>();
  #changes = new Map<string, Change>();
  #counts = { written: 0, dropped: 0, rejected: 0 };
  #failure: string | undefined;
  #running: Promise<void> | undefined;
  readonly #pause = new Pause();
  #closing = false;
  /** Called with incidents as they are stored now. It returns quickly and never throws. */
  onStored: (incidents: readonly IncidentSummary[]) => void = () => {};

  constructor(
    record: (batch: IncidentBatch) => Promise<IncidentSummary[]>,
    log: Logger,
    limits: Partial<IncidentWriterLimits> = {},
  ) {
    this.#record = record;
    this.#log = log;
    this.#limits = { ...defaults, ...limits };
  }

  /** Takes the latest revisions of incidents, and changes. It returns quickly and never throws. */
  offer({ incidents, changes }: IncidentBatch): void {
    this.#take(this.#incidents, incidents);
    this.#take(this.#changes, changes);
    if (this.#size > 0) this.#running ??= this.#run();
  }

  state(): IncidentWriterState {
    return { queued: this.#size, ...this.#counts, failure: this.#failure };
  }

  /** Resolves when nothing is pending, which may take as long as the database is unavailable. */
  async flush(): Promise<void> {
    while (this.#running !== undefined) {
      this.#pause.end();
      await this.#running;
    }
  }

  /** Writes what waits, for at most `maxMs`. */
  async close(maxMs: number): Promise<void> {
    await endsWithin(maxMs, this.flush());
    this.#closing = true;
    this.#pause.end();
    const lost = this.#size;
    if (lost > 0) {
      this.#log.error({ incidents: lost }, "store: incidents were lost because the store is unavailable");
    }
  }

  get #size(): number {
    return this.#incidents.size + this.#changes.size;
  }

  #take<T extends { tenant: string; id: string }>(waiting: Map<string, T>, items: readonly T[]): void {
    for (const item of items) {
      try {
        checkTenant(item.tenant);
        checkId("id", item.id);
      } catch (error) {
        this.#reject(error);
        continue;
      }
      const key = `${item.tenant}\0${item.id}`;
      // It goes to the end: an incident that keeps growing must not be what is dropped.
      waiting.delete(key);
      waiting.set(key, item);
      if (waiting.size > this.#limits.maxWaiting) {
        waiting.delete(waiting.keys().next().value!);
        this.#counts.dropped += 1;
      }
    }
  }

  async #run(): Promise<void> {
    // What one page brings is written together.
    await Promise.resolve();
    let retryMs = this.#limits.retryMs;
    while (this.#size > 0 && !this.#closing) {
      const batch = {
        incidents: [...this.#incidents.values()].slice(0, this.#limits.batch),
        changes: [...this.#changes.values()].slice(0, this.#limits.batch),
      };
      const failure = await this.#write(batch);
      if (failure === undefined) {
        if (this.#failure !== undefined) this.#log.info("store: incidents are stored again");
        this.#failure = undefined;
        retryMs = this.#limits.retryMs;
        continue;
      }
      if (this.#failure === undefined) {
        this.#log.warn({ reason: failure }, "store: incidents cannot be stored; they wait in memory");
      }
      this.#failure = failure;
      await this.#pause.wait(retryMs);
      retryMs = Math.min(2 * retryMs, this.#limits.maxRetryMs);
    }
    this.#running = undefined;
  }

  /** Resolves to why the batch waits on; undefined if it does not. */
  async #write(batch: IncidentBatch): Promise<string | undefined> {
    const count = batch.incidents.length + batch.changes.length;
    try {
      const stored = await this.#record(batch);
      this.#counts.written += count;
      this.#forget(batch);
      this.onStored(stored);
    } catch (error) {
      if (!isBadData(error)) return reasonOf(error);
      if (count > 1) {
        // One of them must not keep the others from being stored.
        for (const incident of batch.incidents) {
          const failure = await this.#write({ incidents: [incident], changes: [] });
          if (failure !== undefined) return failure;
        }
        for (const change of batch.changes) {
          const failure = await this.#write({ incidents: [], changes: [change] });
          if (failure !== undefined) return failure;
        }
        return undefined;
      }
      this.#reject(error);
      this.#forget(batch);
    }
    return undefined;
  }

  /** Removes what was written, unless a newer revision has come meanwhile. */
  #forget({ incidents, changes }: IncidentBatch): void {
    const forget = <T extends { tenant: string; id: string }>(
      waiting: Map<string, T>,
      items: readonly T[],
    ) => {
      for (const item of items) {
        const key = `${item.tenant}\0${item.id}`;
        if (waiting.get(key) === item) waiting.delete(key);
      }
    };
    forget(this.#incidents, incidents);
    forget(this.#changes, changes);
  }

  #reject(error: unknown): void {
    this.#counts.rejected += 1;
    this.#log.warn({ reason: reasonOf(error) }, "an incident cannot be stored");
  }
}
