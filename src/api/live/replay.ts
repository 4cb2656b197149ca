/** Tells readers that come back what they missed, from the store: each anomaly that has changed once, as it is now. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { steadyClock } from "../../clock.ts";
import { type AnomalySummary, isUnavailable, type Store } from "../../store/index.ts";
import { anomalyJson } from "../anomaly.ts";
import { formatId } from "./event-id.ts";
import type { LiveEvent, Reader, Return } from "./hub.ts";

export interface ReplayLimits {
  /** Anomalies that a reader is told; then it has to list them. */
  anomalies: number;
  /** A page of them. */
  page: number;
  /** For reports that wait to be stored. */
  flushMs: number;
  /** For a reader that takes nothing. */
  stallMs: number;
}

const defaults: ReplayLimits = { anomalies: 10_000, page: 100, flushMs: 2_000, stallMs: 30_000 };

interface Page {
  events: readonly LiveEvent[];
  /** Where the next goes on; undefined where there is nothing. */
  last: { time: number; id: string } | undefined;
}

/** Between looks at a reader that is not ready. */
const pauseMs = 20;
/**
 * A change may be seen in the store so long after the time that it bears, since it is written in a transaction. Who comes
 * back again goes on before it: it may be told some of it twice, and misses nothing.
 */
const settleMs = 20_000;

export class Replay {
  readonly #store: Pick<Store, "anomalies" | "writer">;
  readonly #log: Logger;
  readonly #limits: ReplayLimits;
  /** One page at a time: many who come back together leave the database to others as well. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Pages whose turn has not come: those who come back to the same place share one. */
  readonly #waiting = new Map<string, Promise<Page>>();

  constructor(store: Pick<Store, "anomalies" | "writer">, log: Logger, limits: Partial<ReplayLimits> = {}) {
    this.#store = store;
    this.#log = log;
    this.#limits = { ...defaults, ...limits };
  }

  /** Ends with the reader back among those who listen, or gone. Never rejects. */
  async run(reader: Reader, returning: Return, gone: AbortSignal): Promise<void> {
    try {
      returning.live(await this.#tell(reader, returning, gone));
    } catch (error) {
      if (error instanceof TooSlow) {
        reader.drop("slow", error.message);
        return;
      }
      if (!isUnavailable(error)) this.#log.error({ err: error }, "live: what was missed could not be read");
      returning.live("the store does not answer now");
    }
  }

  /** Resolves to why the reader may have missed something all the same; undefined where it has not. */
  async #tell(reader: Reader, returning: Return, gone: AbortSignal): Promise<string | undefined> {
    const lost = returning.lossy ? await this.#lost() : undefined;
    let { time, anomaly: id = "" } = returning.since;
    for (let told = 0; told < this.#limits.anomalies; told += this.#limits.page) {
      const { events, last } = await this.#page(reader.tenant, time, id);
      await this.#ready(reader, gone);
      if (gone.aborted) return undefined;
      const wanted = among(events, reader, returning);
      if (wanted.length > 0) reader.give(wanted);
      if (events.length < this.#limits.page) return lost;
      ({ time, id } = last!);
    }
    return `more than ${this.#limits.anomalies} anomalies have changed since`;
  }

  /** Why something that this process has found may be in the store neither now nor later. */
  async #lost(): Promise<string | undefined> {
    const { writer } = this.#store;
    const written = writer.flush().then(() => true);
    const flushed = await Promise.race([written, sleep(this.#limits.flushMs, false, { ref: false })]);
    if (!flushed) return "some of what was found is not stored yet";
    return writer.state().dropped > 0 ? "some of what was found could not be stored" : undefined;
  }

  #page(tenant: string, time: number, id: string): Promise<Page> {
    const key = JSON.stringify([tenant, time, id]);
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) return waiting;
    const page = this.#turn.then(() => {
      this.#waiting.delete(key);
      return this.#read(tenant, time, id);
    });
    this.#waiting.set(key, page);
    this.#turn = page.catch(() => {});
    return page;
  }

  async #read(tenant: string, time: number, id: string): Promise<Page> {
    const settled = steadyClock.now() - settleMs;
    const items = await this.#store.anomalies.changedSince(tenant, { time, id }, this.#limits.page);
    const last = items.at(-1);
    return {
      events: items.map((item) => toEvent(item, settled)),
      last: last && { time: last.changedAt, id: last.id },
    };
  }

  async #ready(reader: Reader, gone: AbortSignal): Promise<void> {
    const since = performance.now();
    while (!reader.ready() && !gone.aborted) {
      if (performance.now() - since > this.#limits.stallMs) throw new TooSlow();
      await sleep(pauseMs, undefined, { ref: false });
    }
  }
}

/** The same array where all are, so that it is put into bytes once. */
function among(events: readonly LiveEvent[], { accepts }: Reader, returning: Return): readonly LiveEvent[] {
  // Told once the reader is back; where it takes some alone, the newest event of an anomaly may be none of them.
  const later = accepts === undefined ? returning.willTell() : new Set();
  const wanted = events.filter(({ data }) => !later.has(data.id) && (accepts?.(data) ?? true));
  return wanted.length === events.length ? events : wanted;
}

class TooSlow extends Error {
  override readonly message = "too slow: it took nothing for too long";
}

function toEvent(item: AnomalySummary, settled: number): LiveEvent {
  const { changedAt: time, id } = item;
  const position = time < settled ? { time, anomaly: id } : { time: settled };
  return { id: formatId(position), name: "anomaly", data: anomalyJson(item) };
}
