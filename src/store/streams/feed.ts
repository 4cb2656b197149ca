/** Stores the statistics of streams that the engine reports, at intervals. */
import type { Logger } from "pino";
import { endsWithin } from "../../base/deadline.ts";
import type { StatisticsPage } from "../../engine/index.ts";
import { isBadData, reasonOf } from "../database/errors.ts";
import { reportIntervalMs, type StreamObservation, type Streams } from "./streams.ts";

/** The number of streams per transaction, which takes some milliseconds, few of them on the event loop. */
const pageSize = 256;

export interface StatisticsSource {
  statistics(most: number): Promise<Pick<StatisticsPage, "streams" | "left">>;
}

export class StreamFeed {
  readonly #source: StatisticsSource;
  readonly #streams: Pick<Streams, "record">;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  /** Statistics that were taken from the engine and are not stored yet: at most one page. */
  #waiting: StreamObservation[] = [];
  #failing = false;
  #stopped = false;
  #running: Promise<void> | undefined;

  constructor(
    source: StatisticsSource,
    streams: Pick<Streams, "record">,
    log: Logger,
    everyMs = reportIntervalMs,
  ) {
    this.#source = source;
    this.#streams = streams;
    this.#log = log;
    this.#timer = setInterval(() => void this.flush(), everyMs).unref();
  }

  /**
   * Stores what has changed until now. While the store is unavailable, the engine is not queried and keeps accumulating,
   * and everything is stored at once later. Concurrent calls share one run. It never fails.
   */
  flush(): Promise<void> {
    this.#running ??= this.#flush().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Stops querying the engine. */
  stop(): void {
    clearInterval(this.#timer);
    this.#stopped = true;
  }

  /** Stores what has changed one last time, for at most `maxMs`. */
  async close(maxMs: number): Promise<void> {
    this.stop();
    const last = Promise.resolve(this.#running).then(() => this.flush());
    const stored = (await endsWithin(maxMs, last)) && !this.#failing;
    if (!stored) this.#log.warn("store: the latest statistics of streams are lost");
  }

  async #flush(): Promise<void> {
    try {
      await this.#store();
      // Streams that change meanwhile are left for the next run; otherwise a busy engine would be queried endlessly.
      let left = Number.POSITIVE_INFINITY;
      for (let taken = 0; taken < left; taken += pageSize) {
        const page = await this.#source.statistics(pageSize);
        if (taken === 0) left = page.streams.length + page.left;
        this.#waiting = page.streams;
        await this.#store();
      }
      if (this.#failing) this.#log.info("store: statistics of streams are stored again");
      this.#failing = false;
    } catch (error) {
      if (!this.#failing && !this.#stopped) {
        this.#log.warn(
          { reason: reasonOf(error) },
          "store: statistics of streams cannot be stored; they accumulate in the engine",
        );
      }
      this.#failing = true;
    }
  }

  async #store(): Promise<void> {
    // Halves a rejected page until the stream that the database rejects is found, so that it does not delay the others.
    const parts = this.#waiting.length > 0 ? [this.#waiting] : [];
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      try {
        await this.#streams.record(part);
      } catch (error) {
        if (!isBadData(error)) {
          this.#waiting = [part, ...parts].flat();
          throw error;
        }
        if (part.length > 1) parts.push(part.slice(part.length >> 1), part.slice(0, part.length >> 1));
        else
          this.#log.error({ reason: reasonOf(error) }, "store: the statistics of a stream cannot be stored");
      }
    }
    this.#waiting = [];
  }
}
