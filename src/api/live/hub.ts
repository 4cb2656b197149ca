/**
 * Hands live events to those who listen, each tenant's to its own. The latest events are kept, and readers take them from
 * there as fast as they read: a slow one holds nothing but its place, and is dropped when that is gone. Events go out in
 * batches, so many a second to all readers together: in a storm, or with many readers, each is given fewer and told so.
 */
import { steadyClock } from "../../base/clock.ts";
import type { AnomalyJson } from "../anomaly.ts";
import type { Batch, EventName, Gap, LiveEvent } from "./event.ts";
import { formatId, isAhead, type Position, parseId } from "./event-id.ts";
import { narrow } from "./narrow.ts";

/** Why a reader is dropped: the process ends, it did not keep up, others need its place, or it may listen no more. */
export type Ending = "shutdown" | "slow" | "crowded" | "refused";

/** A connection that listens. None of its methods throws. */
export interface Reader {
  readonly tenant: string;
  /** As `peerOf` gives it. */
  readonly peer: string;
  /** Takes all where undefined. */
  readonly accepts: ((item: AnomalyJson) => boolean) | undefined;
  /** It has taken what it was given. */
  ready(): boolean;
  give(batch: Batch): void;
  /** Shows that the connection lives. */
  beat(): void;
  /** Tells the reason and ends the connection. */
  drop(ending: Ending, reason: string): void;
}

/** What is to be told. */
export interface News {
  name: EventName;
  /** Of the anomaly. */
  id: string;
  /** Called where the event is wanted, and maybe more than once. */
  make(): AnomalyJson;
  /** Bytes that `make` holds, about. */
  size: number;
}

interface Kept extends News {
  seq: number;
  /** When it was published: milliseconds since 1970, never less than of the event before; and on the clock of `performance`. */
  time: number;
  at: number;
}

/** A reader whose last event is not among those that are kept: the store has what it missed. */
export interface Return {
  /** Of the last event that it had. */
  since: Position;
  /** Events since then may be of this process and no longer kept. */
  lossy: boolean;
  /** Of which anomalies there are events that the reader is given once it is back. */
  willTell(): ReadonlySet<string>;
  /** From now on the reader is given what is kept, and what comes. @param gap why there is one before it, if there is. */
  live(gap?: string): void;
}

export interface Subscription {
  /** Set where the reader is given nothing before `live` is called. */
  returning: Return | undefined;
  end(): void;
}

interface Place {
  /** Of the last event that the reader was given. */
  seq: number;
  /** It has had all there was once: from then on it is not to hear of what is old. */
  live: boolean;
  /** Since when it has not been ready; undefined while it is. */
  stalled: number | undefined;
  /** It is told what it missed, and is given nothing meanwhile. */
  returning: boolean;
}

/** By where they begin. */
type Batches = Map<number | "newest", { batch: Batch; end: number }>;

/** A tenant's events and those who read them. */
interface Channel {
  kept: Kept[];
  size: number;
  /** Of the last event that is gone. */
  lost: number;
  readers: Map<Reader, Place>;
}

export interface HubLimits {
  /** Between batches, at least. */
  batchMs: number;
  /** Events that a reader is given at once. */
  batchEvents: number;
  /** To all readers together, each counted; one takes some microseconds. */
  deliveriesPerSecond: number;
  beatMs: number;
  /** Older events are left out for a reader that has had all before them. */
  lateMs: number;
  /** For a reader that takes nothing. */
  stallMs: number;
  /** Bytes of events kept, about, those of all tenants together. */
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

export class LiveHub {
  readonly #limits: HubLimits;
  readonly #channels = new Map<string, Channel>();
  #count = 0;
  readonly #peers = new Map<string, number>();
  #refused = 0;
  readonly #dropped: Record<Ending, number> = { shutdown: 0, slow: 0, crowded: 0, refused: 0 };
  #seq = 0;
  #time: number;
  #size = 0;
  /** What was lost of tenants that have no channel now. */
  #lost = 0;
  #delivered = 0;
  /** The next batches, on the clock of `performance`. */
  #notBefore = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #beats: NodeJS.Timeout;
  #closed = false;

  /** @param after ids begin after this time, milliseconds since 1970, also while the clock is behind it. */
  constructor(limits: Partial<HubLimits> = {}, after = 0) {
    this.#time = after + 1;
    this.#limits = { ...defaults, ...limits };
    this.#beats = setInterval(() => this.#beat(), this.#limits.beatMs).unref();
  }

  get readers(): number {
    return this.#count;
  }

  /** Since the start: how many were refused, and how many were dropped for which reason. */
  get counts(): { refused: number; dropped: Readonly<Record<Ending, number>> } {
    return { refused: this.#refused, dropped: this.#dropped };
  }

  /** Brief, and never throws. */
  publish(tenant: string, news: News): void {
    if (this.#closed) return;
    this.#seq += 1;
    this.#time = Math.max(this.#time, steadyClock.now());
    const channel = this.#channel(tenant);
    channel.kept.push({ ...news, seq: this.#seq, time: this.#time, at: performance.now() });
    channel.size += news.size;
    this.#size += news.size;
    if (this.#size > this.#limits.keptSize) this.#forget();
    if (channel.readers.size > 0) this.#schedule(this.#limits.batchMs);
  }

  /**
   * Why no other reader of the tenant can be had from that peer now; undefined where one can. Where all places are taken, the
   * tenant with most readers gives one up for a tenant with fewer.
   */
  refusal(tenant: string, peer: string): string | undefined {
    if (this.#closed) return "shutting down";
    const reason = this.#crowding(tenant, peer);
    if (reason !== undefined) this.#refused += 1;
    return reason;
  }

  /** From now on the reader is given all events, after those since `lastId`, the last that it has had. */
  subscribe(reader: Reader, lastId: string | undefined): Subscription {
    const channel = this.#channel(reader.tenant);
    const named = lastId === undefined ? undefined : parseId(lastId);
    const known = lastId === undefined ? this.#seq : named && seqOf(named, channel);
    // The store cannot say what changed since a time that is still to come.
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
      const batches: Batches = new Map();
      for (const reader of [...channel.readers.keys()]) {
        this.#feed(reader, channel, batches);
        this.#drop(reader, channel, "shutdown", "shutting down");
      }
    }
  }

  #returning(reader: Reader, place: Place, channel: Channel, since: Position): Return {
    return {
      since,
      lossy: channel.lost > 0,
      willTell: () => new Set(channel.kept.slice(firstAfter(channel.kept, place.seq)).map(({ id }) => id)),
      live: (gap) => {
        if (!channel.readers.has(reader)) return;
        if (gap !== undefined) reader.give([{ name: "gap", data: { reason: gap } }]);
        place.returning = false;
        this.#schedule(0);
      },
    };
  }

  #remove(reader: Reader, channel: Channel): void {
    if (!channel.readers.delete(reader)) return;
    this.#count -= 1;
    const ofPeer = this.#peers.get(reader.peer)! - 1;
    if (ofPeer > 0) this.#peers.set(reader.peer, ofPeer);
    else this.#peers.delete(reader.peer);
    this.#tidy(reader.tenant, channel);
  }

  #drop(reader: Reader, channel: Channel, ending: Ending, reason: string): void {
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

  /** Drops the newest reader of whichever tenant has most among some, unless `tenant` would have as many then. */
  #makeRoom(tenant: string, isAmong: (reader: Reader) => boolean): boolean {
    const byTenant = Map.groupBy(this.#allReaders().filter(isAmong), (reader) => reader.tenant);
    let heaviest: Reader[] = [];
    for (const readers of byTenant.values()) if (readers.length > heaviest.length) heaviest = readers;
    if (heaviest.length <= (byTenant.get(tenant)?.length ?? 0) + 1) return false;
    const newest = heaviest.at(-1)!;
    const channel = this.#channels.get(newest.tenant)!;
    this.#drop(newest, channel, "crowded", "others need the place: the tenant has the most listeners");
    return true;
  }

  #channel(tenant: string): Channel {
    let channel = this.#channels.get(tenant);
    if (channel === undefined) {
      channel = { kept: [], size: 0, lost: this.#lost, readers: new Map() };
      this.#channels.set(tenant, channel);
    }
    return channel;
  }

  #allReaders(): Reader[] {
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
      const batches: Batches = new Map();
      for (const reader of [...channel.readers.keys()]) {
        if (this.#feed(reader, channel, batches)) more = true;
      }
    }
    const { batchMs, deliveriesPerSecond } = this.#limits;
    const pause = ((this.#delivered - delivered) / deliveriesPerSecond) * 1_000;
    this.#notBefore = performance.now() + pause;
    if (more) this.#schedule(batchMs);
  }

  /** @returns whether there is more for the reader. */
  #feed(reader: Reader, channel: Channel, batches: Batches): boolean {
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

  #isLate(seq: number, { kept }: Channel): boolean {
    const first = firstAfter(kept, seq);
    if (kept.length - first <= this.#limits.batchEvents) return false;
    return performance.now() - kept[first]!.at > this.#limits.lateMs;
  }

  #after(from: number | "newest", { kept, lost }: Channel): { batch: Batch; end: number } {
    const { batchEvents } = this.#limits;
    const first = from === "newest" ? kept.length - batchEvents : firstAfter(kept, from);
    const events = kept.slice(first, first + batchEvents);
    const batch: (LiveEvent | Gap)[] = events.map(({ seq, time, name, make }) => ({
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

  #beat(): void {
    for (const reader of this.#allReaders()) reader.beat();
  }

  /** Half of what the tenant with most has: who makes the noise loses by it, and it is seldom. */
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

  #tidy(tenant: string, channel: Channel): void {
    if (channel.kept.length > 0 || channel.readers.size > 0) return;
    this.#channels.delete(tenant);
    this.#lost = Math.max(this.#lost, channel.lost);
  }
}

/** Where a reader goes on whose last event is kept. */
function seqOf({ time, seq }: Position, { kept }: Channel): number | undefined {
  if (seq === undefined) return undefined;
  const event = kept[firstAfter(kept, seq) - 1];
  return event?.seq === seq && event.time === time ? seq : undefined;
}

/** Index of the first event after `seq`. */
function firstAfter(kept: readonly Kept[], seq: number): number {
  let [low, high] = [0, kept.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (kept[middle]!.seq > seq) high = middle;
    else low = middle + 1;
  }
  return low;
}
