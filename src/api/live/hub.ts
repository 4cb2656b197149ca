/**
 * Delivers live events to the readers of each tenant. The latest events are kept, and readers receive them as fast as
 * they read: a slow reader holds only its position, and is disconnected when that position is no longer kept. Events are
 * delivered in batches, with a limit per second for all readers together: in a storm, or with many readers, each
 * receives fewer events and a notice of the gap.
 */
import { steadyClock } from "../../base/clock.ts";
import type { Batch, EventName, Gap, LiveEvent, LiveItem } from "./event.ts";
import { formatId, isAhead, type Position, parseId } from "./event-id.ts";
import { narrow } from "./narrow.ts";

/**
 * Why a reader is disconnected: the process ends, it did not keep up, others need its place, or it is no longer
 * authorized.
 */
export type Ending = "shutdown" | "slow" | "crowded" | "refused";

/** A connection that receives events. None of its methods throws. */
export interface Reader<T extends LiveItem = LiveItem> {
  readonly tenant: string;
  /** The peer, as returned by `peerOf`. */
  readonly peer: string;
  /** Filters the events; undefined accepts all. */
  readonly accepts: ((item: T) => boolean) | undefined;
  /** Returns whether the connection has sent everything that was delivered. */
  ready(): boolean;
  give(batch: Batch<T>): void;
  /** Sends a heartbeat. */
  heartbeat(): void;
  /** Sends the reason and ends the connection. */
  drop(ending: Ending, reason: string): void;
}

/** Something to publish. */
export interface Publication<T extends LiveItem> {
  name: EventName;
  /** The id of what it is about. */
  id: string;
  /** Creates the event's data. It is called only if the event is needed, possibly more than once. */
  make(): T;
  /** The approximate bytes that `make` holds. */
  size: number;
}

interface Kept<T extends LiveItem> extends Publication<T> {
  seq: number;
  /**
   * When the event was published, in milliseconds since 1970 that never decrease, and on the clock of `performance`.
   */
  time: number;
  at: number;
}

/** A returning reader whose last event is no longer kept: what it missed is in the store. */
export interface Return {
  /** The position of the last event that it received. */
  since: Position;
  /** Whether this process may have published events since then that are no longer kept. */
  lossy: boolean;
  /** Returns the ids of what the events are about that the reader will receive once it is live. */
  willDeliver(): ReadonlySet<string>;
  /**
   * From now on the reader receives the kept events and new ones.
   * @param gap why events are missing before them, if any are
   */
  live(gap?: string): void;
}

export interface Subscription {
  /** Set if the reader receives nothing before `live` is called. */
  returning: Return | undefined;
  end(): void;
}

interface Place {
  /** The number of the last event that was delivered to the reader. */
  seq: number;
  /** Whether the reader has caught up. From then on it does not receive old events. */
  live: boolean;
  /** The time since which the reader has not been ready; undefined while it is ready. */
  stalled: number | undefined;
  /** Whether the reader is receiving what it missed, and nothing else meanwhile. */
  returning: boolean;
}

/** Batches by the position at which they begin. */
type Batches<T extends LiveItem> = Map<number | "newest", { batch: Batch<T>; end: number }>;

/** The events of a tenant and their readers. */
interface Channel<T extends LiveItem> {
  kept: Kept<T>[];
  size: number;
  /** The number of the last event that is no longer kept. */
  lost: number;
  readers: Map<Reader<T>, Place>;
}

export interface HubLimits {
  /** The minimum time between batches. */
  batchMs: number;
  /** Maximum number of events per batch. */
  batchEvents: number;
  /** Maximum number of deliveries per second to all readers together. One takes some microseconds. */
  deliveriesPerSecond: number;
  beatMs: number;
  /** Events older than this are omitted for a reader that had caught up. */
  lateMs: number;
  /** How long a reader may accept nothing before it is disconnected. */
  stallMs: number;
  /** The approximate bytes of kept events of all tenants together. */
  keptSize: number;
  readers: number;
  readersOfTenant: number;
  readersOfPeer: number;
}

const defaults: HubLimits = {
  batchMs: 100,
  batchEvents: 25,
  deliveriesPerSecond: 50_000,
  beatMs: 15_000,
  lateMs: 5_000,
  stallMs: 30_000,
  keptSize: 16 * 2 ** 20,
  readers: 2_000,
  readersOfTenant: 1_500,
  readersOfPeer: 1_500,
};

/** Events about anomalies, or about incidents. */
export class LiveHub<T extends LiveItem> {
  readonly #limits: HubLimits;
  readonly #channels = new Map<string, Channel<T>>();
  #count = 0;
  readonly #peers = new Map<string, number>();
  #refused = 0;
  readonly #dropped: Record<Ending, number> = { shutdown: 0, slow: 0, crowded: 0, refused: 0 };
  #seq = 0;
  #time: number;
  #size = 0;
  /** The number of the last lost event of tenants without a channel. */
  #lost = 0;
  #delivered = 0;
  /** When the next batches may be delivered, on the clock of `performance`. */
  #notBefore = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #beats: NodeJS.Timeout;
  #closed = false;

  /** @param after ids begin after this time in milliseconds since 1970, even while the clock is behind it */
  constructor(limits: Partial<HubLimits> = {}, after = 0) {
    this.#time = after + 1;
    this.#limits = { ...defaults, ...limits };
    this.#beats = setInterval(() => this.#heartbeat(), this.#limits.beatMs).unref();
  }

  get readers(): number {
    return this.#count;
  }

  /** The numbers of readers that were refused, and disconnected for each reason, since the start. */
  get counts(): { refused: number; dropped: Readonly<Record<Ending, number>> } {
    return { refused: this.#refused, dropped: this.#dropped };
  }

  /** Whether a tenant has readers. */
  hears(tenant: string): boolean {
    return (this.#channels.get(tenant)?.readers.size ?? 0) > 0;
  }

  /** Returns the tenants that have readers. */
  tenants(): string[] {
    return [...this.#channels.keys()].filter((tenant) => this.hears(tenant));
  }

  /** Publishes an event. It returns quickly and never throws. */
  publish(tenant: string, publication: Publication<T>): void {
    if (this.#closed) return;
    this.#seq += 1;
    this.#time = Math.max(this.#time, steadyClock.now());
    const channel = this.#channel(tenant);
    channel.kept.push({ ...publication, seq: this.#seq, time: this.#time, at: performance.now() });
    channel.size += publication.size;
    this.#size += publication.size;
    if (this.#size > this.#limits.keptSize) this.#forget();
    if (channel.readers.size > 0) this.#schedule(this.#limits.batchMs);
  }

  /**
   * Returns why the tenant cannot have another reader from this peer; undefined if it can. If all places are taken, the
   * tenant with the most readers loses one to a tenant with fewer.
   */
  refusal(tenant: string, peer: string): string | undefined {
    if (this.#closed) return "shutting down";
    const reason = this.#crowding(tenant, peer);
    if (reason !== undefined) this.#refused += 1;
    return reason;
  }

  /** Subscribes the reader to all events after `lastId`, the last one that it received. */
  subscribe(reader: Reader<T>, lastId: string | undefined): Subscription {
    const channel = this.#channel(reader.tenant);
    const named = lastId === undefined ? undefined : parseId(lastId);
    const known = lastId === undefined ? this.#seq : named && seqOf(named, channel);
    // The store does not know what changed since a time in the future.
    const last = known === undefined && named !== undefined && isAhead(named) ? undefined : named;
    const place: Place = {
      seq: known ?? (last === undefined ? -1 : channel.lost),
      live: known === this.#seq,
      stalled: undefined,
      returning: known === undefined && last !== undefined,
    };
    channel.readers.set(reader, place);
    this.#count += 1;
    this.#peers.set(reader.peer, (this.#peers.get(reader.peer) ?? 0) + 1);
    if (lastId !== undefined && !place.returning) this.#schedule(0);
    return {
      returning: place.returning ? this.#returning(reader, place, channel, last!) : undefined,
      end: () => this.#remove(reader, channel),
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#beats);
    clearTimeout(this.#timer);
    for (const channel of [...this.#channels.values()]) {
      const batches: Batches<T> = new Map();
      for (const reader of [...channel.readers.keys()]) {
        this.#feed(reader, channel, batches);
        this.#drop(reader, channel, "shutdown", "shutting down");
      }
    }
  }

  #returning(reader: Reader<T>, place: Place, channel: Channel<T>, since: Position): Return {
    return {
      since,
      lossy: channel.lost > 0,
      willDeliver: () => new Set(channel.kept.slice(firstAfter(channel.kept, place.seq)).map(({ id }) => id)),
      live: (gap) => {
        if (!channel.readers.has(reader)) return;
        if (gap !== undefined) reader.give([{ name: "gap", data: { reason: gap } }]);
        place.returning = false;
        this.#schedule(0);
      },
    };
  }

  #remove(reader: Reader<T>, channel: Channel<T>): void {
    if (!channel.readers.delete(reader)) return;
    this.#count -= 1;
    const ofPeer = this.#peers.get(reader.peer)! - 1;
    if (ofPeer > 0) this.#peers.set(reader.peer, ofPeer);
    else this.#peers.delete(reader.peer);
    this.#tidy(reader.tenant, channel);
  }

  #drop(reader: Reader<T>, channel: Channel<T>, ending: Ending, reason: string): void {
    this.#remove(reader, channel);
    this.#dropped[ending] += 1;
    reader.drop(ending, reason);
  }

  #crowding(tenant: string, peer: string): string | undefined {
    const { readers, readersOfTenant, readersOfPeer } = this.#limits;
    if ((this.#channels.get(tenant)?.readers.size ?? 0) >= readersOfTenant) {
      return `the tenant has ${readersOfTenant} listeners, the most that it may have`;
    }
    if ((this.#peers.get(peer) ?? 0) >= readersOfPeer) {
      if (this.#makeRoom(tenant, (reader) => reader.peer === peer)) return undefined;
      return `there are ${readersOfPeer} listeners at ${peer}, the most that an address may have`;
    }
    if (this.#count >= readers && !this.#makeRoom(tenant, () => true)) {
      return `there are ${readers} listeners, the most that this process takes`;
    }
    return undefined;
  }

  /**
   * Disconnects the newest reader of the tenant that has the most among some readers, unless `tenant` would then have as
   * many.
   */
  #makeRoom(tenant: string, isAmong: (reader: Reader<T>) => boolean): boolean {
    const byTenant = Map.groupBy(this.#allReaders().filter(isAmong), (reader) => reader.tenant);
    let heaviest: Reader<T>[] = [];
    for (const readers of byTenant.values()) if (readers.length > heaviest.length) heaviest = readers;
    if (heaviest.length <= (byTenant.get(tenant)?.length ?? 0) + 1) return false;
    const newest = heaviest.at(-1)!;
    const channel = this.#channels.get(newest.tenant)!;
    this.#drop(newest, channel, "crowded", "others need the place: the tenant has the most listeners");
    return true;
  }

  #channel(tenant: string): Channel<T> {
    let channel = this.#channels.get(tenant);
    if (channel === undefined) {
      channel = { kept: [], size: 0, lost: this.#lost, readers: new Map() };
      this.#channels.set(tenant, channel);
    }
    return channel;
  }

  #allReaders(): Reader<T>[] {
    return [...this.#channels.values()].flatMap(({ readers }) => [...readers.keys()]);
  }

  #schedule(ms: number): void {
    if (this.#timer !== undefined) return;
    const pause = this.#notBefore - performance.now();
    const flush = () => {
      this.#timer = undefined;
      this.#flush();
    };
    this.#timer = setTimeout(flush, Math.max(ms, pause)).unref();
  }

  #flush(): void {
    const delivered = this.#delivered;
    let more = false;
    for (const channel of this.#channels.values()) {
      const batches: Batches<T> = new Map();
      for (const reader of [...channel.readers.keys()]) {
        if (this.#feed(reader, channel, batches)) more = true;
      }
    }
    const { batchMs, deliveriesPerSecond } = this.#limits;
    const pause = ((this.#delivered - delivered) / deliveriesPerSecond) * 1_000;
    this.#notBefore = performance.now() + pause;
    if (more) this.#schedule(batchMs);
  }

  /**
   * Delivers events to the reader.
   * @returns whether there are more
   */
  #feed(reader: Reader<T>, channel: Channel<T>, batches: Batches<T>): boolean {
    const place = channel.readers.get(reader);
    const last = channel.kept.at(-1)?.seq ?? channel.lost;
    if (place === undefined || place.returning || place.seq >= last) return false;
    if (!reader.ready()) {
      const now = performance.now();
      place.stalled ??= now;
      if (now - place.stalled > this.#limits.stallMs) {
        this.#drop(reader, channel, "slow", "too slow: it took nothing for too long");
      } else if (place.seq < channel.lost) {
        this.#drop(reader, channel, "slow", "too slow: events that it has not taken are gone");
      }
      return true;
    }
    place.stalled = undefined;
    const from = place.live && this.#isLate(place.seq, channel) ? "newest" : place.seq;
    let found = batches.get(from);
    if (found === undefined) {
      found = this.#after(from, channel);
      batches.set(from, found);
    }
    place.seq = found.end;
    place.live ||= found.end === last;
    const { accepts } = reader;
    const batch =
      accepts === undefined
        ? found.batch
        : narrow(found.batch, (event) => event.name === "gap" || accepts(event.data));
    if (batch.length > 0) reader.give(batch);
    this.#delivered += batch.length;
    return place.seq < last;
  }

  #isLate(seq: number, { kept }: Channel<T>): boolean {
    const first = firstAfter(kept, seq);
    if (kept.length - first <= this.#limits.batchEvents) return false;
    return performance.now() - kept[first]!.at > this.#limits.lateMs;
  }

  #after(from: number | "newest", { kept, lost }: Channel<T>): { batch: Batch<T>; end: number } {
    const { batchEvents } = this.#limits;
    const first = from === "newest" ? kept.length - batchEvents : firstAfter(kept, from);
    const events = kept.slice(first, first + batchEvents);
    const batch: (LiveEvent<T> | Gap)[] = events.map(({ seq, time, name, make }) => ({
      id: formatId({ time, seq }),
      name,
      data: make(),
    }));
    if (from === "newest" || from < lost) {
      const reason = from === -1 ? "there is no such event as the last" : "there were too many events";
      batch.unshift({ name: "gap", data: { reason } });
    }
    return { batch, end: events.at(-1)?.seq ?? lost };
  }

  #heartbeat(): void {
    for (const reader of this.#allReaders()) reader.heartbeat();
  }

  /**
   * Removes half of the kept events of the tenant that has the most: this affects the tenant that causes it, and is
   * rarely needed.
   */
  #forget(): void {
    let [tenant, heaviest] = this.#channels.entries().next().value!;
    for (const [name, channel] of this.#channels) {
      if (channel.size > heaviest.size) [tenant, heaviest] = [name, channel];
    }
    const gone = heaviest.kept.splice(0, Math.ceil(heaviest.kept.length / 2));
    const size = gone.reduce((sum, event) => sum + event.size, 0);
    heaviest.size -= size;
    this.#size -= size;
    heaviest.lost = gone.at(-1)!.seq;
    this.#tidy(tenant, heaviest);
  }

  #tidy(tenant: string, channel: Channel<T>): void {
    if (channel.kept.length > 0 || channel.readers.size > 0) return;
    this.#channels.delete(tenant);
    this.#lost = Math.max(this.#lost, channel.lost);
  }
}

/** Returns the position at which a reader continues whose last event is kept. */
function seqOf(
  { time, seq }: Position,
  { kept }: { kept: readonly { seq: number; time: number }[] },
): number | undefined {
  if (seq === undefined) return undefined;
  const event = kept[firstAfter(kept, seq) - 1];
  return event?.seq === seq && event.time === time ? seq : undefined;
}

/** Returns the index of the first event after `seq`. */
function firstAfter(kept: readonly { seq: number; time: number }[], seq: number): number {
  let [low, high] = [0, kept.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (kept[middle]!.seq > seq) high = middle;
    else low = middle + 1;
  }
  return low;
}
