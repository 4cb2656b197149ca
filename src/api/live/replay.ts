/** Tells readers that come back what they missed, from the store: each anomaly that has changed once, as it is now. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { steadyClock } from "../../base/clock.ts";
import { endsWithin } from "../../base/deadline.ts";
import { type AnomalySummary, isUnavailable, type Store } from "../../store/index.ts";
import { anomalyJson } from "../anomaly.ts";
import { Turns } from "../turns.ts";
import type { Batch, LiveEvent } from "./event.ts";
import { formatId } from "./event-id.ts";
import type { Reader, Return } from "./hub.ts";
import { narrow } from "./narrow.ts";

export interface ReplayLimits {
  /** Anomalies that a reader is told; then it has to list them. */
  anomalies: number;
  /** Anomalies that are read from the store at once. */
  page: number;
  /** Characters of JSON that a reader is given at once; a single event may have more. */
  part: number;
  /** For reports that wait to be stored. */
  flushMs: number;
  /** For a reader that takes nothing. */
  stallMs: number;
}

const defaults: ReplayLimits = {
  anomalies: 10_000,
  page: 25,
  part: 32 * 2 ** 10,
  flushMs: 2_000,
  stallMs: 30_000,
};

/** Of the last anomaly that a reader was told. */
interface Position {
  time: number;
  id: string;
}

/** Events that readers are given at once. */
interface Part {
  events: readonly LiveEvent[];
  end: Position;
}

interface Page {
  parts: readonly Part[];
  /** There is nothing after it. */
  last: boolean;
}

/** A reader that waits for its turn. */
interface Waiter {
  tenant: string;
  peer: string;
  /** Readers of the same page have the same key. */
  key: string;
  from: Position;
  /** Takes the page or the reason why it could not be read. */
  settle(page: Promise<Page>): void;
}

/** For so long a page is kept for a reader that is not ready for the next part; then it is read again. */
const holdMs = 50;
/** The longest pause between looks at a reader that is not ready. */
const maxPauseMs = 500;
/**
 * A change may be seen in the store so long after the time that it bears, since it is written in a transaction. Who comes
 * back again goes on before it: it may be told some of it twice, and misses nothing.
 */
const settleMs = 20_000;

/**
 * Pages are read one at a time, and only for readers that are there and have taken what they were given before. However many
 * come back, the store serves other requests between two pages, and the memory is that of one page and a part per reader.
 */
export class Replay {
  readonly #store: Pick<Store, "anomalies" | "writer">;
  readonly #log: Logger;
  readonly #limits: ReplayLimits;
  readonly #turns = new Turns<Waiter>();
  /** Those of `#turns` by their keys. */
  readonly #byKey = new Map<string, Set<Waiter>>();
  #reading = false;
  #pagesRead = 0;
  #flush: Promise<boolean> | undefined;

  constructor(store: Pick<Store, "anomalies" | "writer">, log: Logger, limits: Partial<ReplayLimits> = {}) {
    this.#store = store;
    this.#log = log;
    this.#limits = { ...defaults, ...limits };
  }

  /** Readers that wait for a page. */
  get waiting(): number {
    return this.#turns.size;
  }

  /** Pages read from the store so far. */
  get pagesRead(): number {
    return this.#pagesRead;
  }

  /** Ends with the reader back among those who listen, or gone. Never rejects. */
  async run(reader: Reader, returning: Return, gone: AbortSignal): Promise<void> {
    try {
      returning.live(await this.#tell(reader, returning, gone));
    } catch (error) {
      if (gone.aborted) return;
      if (error instanceof TooSlow) {
        reader.drop("slow", error.message);
        return;
      }
      if (!isUnavailable(error))
        this.#log.error({ err: error }, "live: missed events could not be read from the store");
      returning.live("the store does not answer now");
    }
  }

  /**
   * Resolves to why the reader may have missed something all the same; undefined where it has not.
   * @throws {TooSlow}; the signal's reason once the reader is gone; what the store throws.
   */
  async #tell(reader: Reader, returning: Return, gone: AbortSignal): Promise<string | undefined> {
    const lost = returning.lossy ? await this.#lost() : undefined;
    let from: Position = { time: returning.since.time, id: returning.since.anomaly ?? "" };
    for (let told = 0; told < this.#limits.anomalies; ) {
      if (!(await isReady(reader, gone, this.#limits.stallMs))) throw new TooSlow();
      const { parts, last } = await this.#page(reader, from, gone);
      for (const { events, end } of parts) {
        if (!(await isReady(reader, gone, holdMs))) break;
        const wanted = among(events, reader, returning);
        if (wanted.length > 0) reader.give(wanted);
        told += events.length;
        from = end;
      }
      if (last && (parts.length === 0 || from === parts.at(-1)!.end)) return lost;
    }
    return `more than ${this.#limits.anomalies} anomalies have changed since`;
  }

  /** Why something that this process has found may be in the store neither now nor later. */
  async #lost(): Promise<string | undefined> {
    const { writer } = this.#store;
    // Those who come back meanwhile wait for the same flush: it ends with nothing left to write.
    this.#flush ??= endsWithin(this.#limits.flushMs, writer.flush()).finally(() => {
      this.#flush = undefined;
    });
    if (!(await this.#flush)) return "some of what was found is not stored yet";
    return writer.state().dropped > 0 ? "some of what was found could not be stored" : undefined;
  }

  /** @throws the signal's reason once the reader is gone. */
  async #page({ tenant, peer }: Reader, from: Position, gone: AbortSignal): Promise<Page> {
    gone.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Page>();
    const key = JSON.stringify([tenant, from.time, from.id]);
    const waiter: Waiter = { tenant, peer, key, from, settle: resolve };
    const leave = () => {
      this.#remove(waiter);
      reject(gone.reason);
    };
    gone.addEventListener("abort", leave, { once: true });
    this.#turns.add(waiter);
    this.#byKey.set(key, (this.#byKey.get(key) ?? new Set()).add(waiter));
    if (!this.#reading) void this.#readInTurn();
    try {
      return await promise;
    } finally {
      gone.removeEventListener("abort", leave);
    }
  }

  #remove(waiter: Waiter): void {
    this.#turns.remove(waiter);
    const same = this.#byKey.get(waiter.key);
    same?.delete(waiter);
    if (same?.size === 0) this.#byKey.delete(waiter.key);
  }

  /** Reads pages until nobody waits. Those who want the same page share one. */
  async #readInTurn(): Promise<void> {
    this.#reading = true;
    for (let next = this.#turns.next(); next !== undefined; next = this.#turns.next()) {
      const same = [...this.#byKey.get(next.key)!];
      for (const waiter of same) this.#remove(waiter);
      const page = this.#read(next);
      for (const waiter of same) waiter.settle(page);
      await page.catch(() => {});
    }
    this.#reading = false;
  }

  async #read({ tenant, from }: Waiter): Promise<Page> {
    const settled = steadyClock.now() - settleMs;
    this.#pagesRead += 1;
    const items = await this.#store.anomalies.changedSince(tenant, from, this.#limits.page);
    return { parts: this.#partsOf(items, settled), last: items.length < this.#limits.page };
  }

  #partsOf(items: readonly AnomalySummary[], settled: number): Part[] {
    const parts: { events: LiveEvent[]; end: Position }[] = [];
    let left = 0;
    for (const item of items) {
      const event = toEvent(item, settled);
      const size = JSON.stringify(event.data).length;
      if (parts.length === 0 || size > left) {
        parts.push({ events: [], end: { time: 0, id: "" } });
        left = this.#limits.part;
      }
      const part = parts.at(-1)!;
      part.events.push(event);
      part.end = { time: item.changedAt, id: item.id };
      left -= size;
    }
    return parts;
  }
}

/** Resolves to whether the reader was ready within `maxMs`. @throws the signal's reason once the reader is gone. */
async function isReady(reader: Reader, gone: AbortSignal, maxMs: number): Promise<boolean> {
  const since = performance.now();
  for (let pauseMs = 1; ; pauseMs = Math.min(2 * pauseMs, maxPauseMs)) {
    gone.throwIfAborted();
    if (reader.ready()) return true;
    if (performance.now() - since > maxMs) return false;
    await sleep(pauseMs, undefined, { ref: false });
  }
}

/** What of the events the reader is told now. */
function among(events: Batch, { accepts }: Reader, returning: Return): Batch {
  // Told once the reader is back; where it takes some alone, the newest event of an anomaly may be none of them.
  const later = accepts === undefined ? returning.willTell() : new Set();
  return narrow(
    events,
    (event) => event.name !== "gap" && !later.has(event.data.id) && (accepts?.(event.data) ?? true),
  );
}

class TooSlow extends Error {
  override readonly message = "too slow: it took nothing for too long";
}

function toEvent(item: AnomalySummary, settled: number): LiveEvent {
  const { changedAt: time, id } = item;
  const position = time < settled ? { time, anomaly: id } : { time: settled };
  return { id: formatId(position), name: "anomaly", data: anomalyJson(item) };
}
