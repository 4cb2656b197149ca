/** Delivers to returning readers what they missed, from the store: each changed item once, in its current state. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { steadyClock } from "../../base/clock.ts";
import { endsWithin } from "../../base/deadline.ts";
import { Turns } from "../../base/turns.ts";
import { isUnavailable } from "../../store/index.ts";
import type { Batch, EventName, LiveEvent, LiveItem } from "./event.ts";
import { formatId } from "./event-id.ts";
import type { Reader, Return } from "./hub.ts";
import { narrow } from "./narrow.ts";

export interface ReplayLimits {
  /** Maximum number of items that a reader receives; beyond it, the reader has to list them. */
  items: number;
  /** The number of items that are read from the store at once. */
  page: number;
  /** The characters of JSON that a reader receives at once. A single event may be longer. */
  part: number;
  /** How long to wait for pending reports to be stored. */
  flushMs: number;
  /** How long a reader may accept nothing before it is disconnected. */
  stallMs: number;
}

const defaults: ReplayLimits = {
  items: 10_000,
  page: 25,
  part: 32 * 2 ** 10,
  flushMs: 2_000,
  stallMs: 30_000,
};

/** What events are about, and the store that has it. */
export interface Source<T extends LiveItem> {
  /** The name of an event that is read from the store. */
  name: EventName;
  /** How reasons call what the events are about. */
  plural: string;
  /** Returns items that changed after a position, in the order of their changes. */
  changedSince(tenant: string, from: Position, limit: number): Promise<{ changedAt: number; data: T }[]>;
  /** Resolves when nothing waits to be stored. */
  flush(): Promise<void>;
  /** Whether something was never stored. */
  hasDropped(): boolean;
}

/** The position of the last item that a reader received. */
interface Position {
  time: number;
  id: string;
}

/** Events that readers receive at once. */
interface Part<T extends LiveItem> {
  events: readonly LiveEvent<T>[];
  end: Position;
}

interface Page<T extends LiveItem> {
  parts: readonly Part<T>[];
  /** Whether this is the last part. */
  last: boolean;
}

/** A reader that waits for its turn. */
interface Waiter<T extends LiveItem> {
  tenant: string;
  peer: string;
  /** Readers of the same page have the same key. */
  key: string;
  from: Position;
  /** Receives the page, or the reason why it could not be read. */
  settle(page: Promise<Page<T>>): void;
}

/** How long a page is kept for a reader that is not ready for the next part. After that it is read again. */
const holdMs = 50;
/** The longest pause between two checks of a reader that is not ready. */
const maxPauseMs = 500;
/**
 * How long after its own time a change may appear in the store, since it is written in a transaction. A reader that
 * returns again continues before it: it may receive some changes twice, but misses none.
 */
const settleMs = 20_000;

/**
 * Reads what returning readers missed. Pages are read one at a time, and only for connected readers that have accepted
 * the previous part. However many readers return, the store serves other requests between two pages, and the memory used
 * is that of one page and one part per reader.
 */
export class Replay<T extends LiveItem> {
  readonly #source: Source<T>;
  readonly #log: Logger;
  readonly #limits: ReplayLimits;
  readonly #turns = new Turns<Waiter<T>>();
  /** The waiters of `#turns` by their keys. */
  readonly #byKey = new Map<string, Set<Waiter<T>>>();
  #reading = false;
  #pagesRead = 0;
  #flush: Promise<boolean> | undefined;

  constructor(source: Source<T>, log: Logger, limits: Partial<ReplayLimits> = {}) {
    this.#source = source;
    this.#log = log;
    this.#limits = { ...defaults, ...limits };
  }

  /** The number of readers that wait for a page. */
  get waiting(): number {
    return this.#turns.size;
  }

  /** The number of pages read from the store so far. */
  get pagesRead(): number {
    return this.#pagesRead;
  }

  /** Resolves when the reader is live again, or gone. It never rejects. */
  async run(reader: Reader<T>, returning: Return, gone: AbortSignal): Promise<void> {
    try {
      returning.live(await this.#deliver(reader, returning, gone));
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
   * Delivers what the reader missed. Resolves to the reason why it may still have missed something; undefined if it has
   * not.
   * @throws {TooSlow}, the signal's reason once the reader is gone, and what the store throws.
   */
  async #deliver(reader: Reader<T>, returning: Return, gone: AbortSignal): Promise<string | undefined> {
    const lost = returning.lossy ? await this.#lost() : undefined;
    let from: Position = { time: returning.since.time, id: returning.since.item ?? "" };
    for (let told = 0; told < this.#limits.items; ) {
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
    return `more than ${this.#limits.items} ${this.#source.plural} have changed since`;
  }

  /** Returns why a report of this process may never be in the store; undefined if all reports are stored. */
  async #lost(): Promise<string | undefined> {
    const source = this.#source;
    // Readers that return meanwhile wait for the same flush, which ends when nothing is left to write.
    this.#flush ??= endsWithin(this.#limits.flushMs, source.flush()).finally(() => {
      this.#flush = undefined;
    });
    if (!(await this.#flush)) return "some of what was found is not stored yet";
    return source.hasDropped() ? "some of what was found could not be stored" : undefined;
  }

  /** @throws the signal's reason once the reader is gone. */
  async #page({ tenant, peer }: Reader<T>, from: Position, gone: AbortSignal): Promise<Page<T>> {
    gone.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Page<T>>();
    const key = JSON.stringify([tenant, from.time, from.id]);
    const waiter: Waiter<T> = { tenant, peer, key, from, settle: resolve };
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

  #remove(waiter: Waiter<T>): void {
    this.#turns.remove(waiter);
    const same = this.#byKey.get(waiter.key);
    same?.delete(waiter);
    if (same?.size === 0) this.#byKey.delete(waiter.key);
  }

  /** Reads pages until nobody waits. Readers of the same page share it. */
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

  async #read({ tenant, from }: Waiter<T>): Promise<Page<T>> {
    const settled = steadyClock.now() - settleMs;
    this.#pagesRead += 1;
    const items = await this.#source.changedSince(tenant, from, this.#limits.page);
    return { parts: this.#partsOf(items, settled), last: items.length < this.#limits.page };
  }

  #partsOf(items: readonly { changedAt: number; data: T }[], settled: number): Part<T>[] {
    const parts: { events: LiveEvent<T>[]; end: Position }[] = [];
    let left = 0;
    for (const item of items) {
      const event = toEvent(this.#source.name, item, settled);
      const size = JSON.stringify(event.data).length;
      if (parts.length === 0 || size > left) {
        parts.push({ events: [], end: { time: 0, id: "" } });
        left = this.#limits.part;
      }
      const part = parts.at(-1)!;
      part.events.push(event);
      part.end = { time: item.changedAt, id: item.data.id };
      left -= size;
    }
    return parts;
  }
}

/**
 * Resolves to whether the reader became ready within `maxMs`.
 * @throws the signal's reason once the reader is gone.
 */
async function isReady(reader: Pick<Reader, "ready">, gone: AbortSignal, maxMs: number): Promise<boolean> {
  const since = performance.now();
  for (let pauseMs = 1; ; pauseMs = Math.min(2 * pauseMs, maxPauseMs)) {
    gone.throwIfAborted();
    if (reader.ready()) return true;
    if (performance.now() - since > maxMs) return false;
    await sleep(pauseMs, undefined, { ref: false });
  }
}

/** Returns the events that are delivered to the reader now. */
function among<T extends LiveItem>(events: Batch<T>, { accepts }: Reader<T>, returning: Return): Batch<T> {
  // These are delivered once the reader is live. If it filters events, the newest event of an item may not match.
  const later = accepts === undefined ? returning.willDeliver() : new Set();
  return narrow(
    events,
    (event) => event.name !== "gap" && !later.has(event.data.id) && (accepts?.(event.data) ?? true),
  );
}

class TooSlow extends Error {
  override readonly message = "too slow: it took nothing for too long";
}

function toEvent<T extends LiveItem>(
  name: EventName,
  { changedAt: time, data }: { changedAt: number; data: T },
  settled: number,
): LiveEvent<T> {
  const position = time < settled ? { time, item: data.id } : { time: settled };
  return { id: formatId(position), name, data };
}
