/**
 * Readers that return to another process, or too late for this one's memory, receive the missed events from the store.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it, vi } from "vitest";
import { encodeReport } from "../../src/anomaly/report.ts";
import type { Batch } from "../../src/api/live/event.ts";
import { formatId, parseId } from "../../src/api/live/event-id.ts";
import { LiveHub, type Reader } from "../../src/api/live/hub.ts";
import { liveSink } from "../../src/api/live/publish.ts";
import { Replay, type ReplayLimits } from "../../src/api/live/replay.ts";
import { anomalySource } from "../../src/api/live/sources.ts";
import { Severity } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import type { AnomalyJson } from "../../src/json/anomaly-schema.ts";
import { type EmptyDatabase, onEachDatabase } from "../store/databases.ts";
import { id, report, silent } from "../store/fixtures.ts";
import { connect, type Inbox, listen } from "./listeners.ts";
import { keyOf, type Running, start } from "./support.ts";

afterEach(() => vi.useRealTimers());

/** Sets the date this far into the past; timers are not affected. */
function past(ms: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - ms });
}

/** Stores and publishes an anomaly as the sidecar does. */
function find(
  { store, hub }: Pick<Running, "store" | "hub">,
  n: number,
  init: Parameters<typeof report>[0] = {},
) {
  const found = encodeReport(report({ tenant: "default", id: id(n), ...init }));
  store.writer.offer(found);
  liveSink(hub)(found);
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const numberOf = (anomalyId: string) => Number.parseInt(anomalyId, 16);

async function process(
  database: EmptyDatabase,
  hub = new LiveHub<AnomalyJson>({ batchMs: 5 }),
): Promise<Running> {
  return start({}, { store: await database.open(), hub });
}

async function stop({ api, store }: Running): Promise<void> {
  await api.close();
  await store.close();
}

/** Returns the numbers of the events up to `last`, none of which may be a gap. */
async function until(inbox: Inbox, last: number): Promise<{ found: number[]; ids: string[] }> {
  const found: number[] = [];
  const ids: string[] = [];
  while (found.at(-1) !== last) {
    const { event, data, id: eventId } = await inbox.next();
    if (event !== "anomaly") throw new Error(`${event}: ${data.reason}`);
    found.push(numberOf(data.id!));
    ids.push(eventId!);
  }
  return { found, ids };
}

describe("ids of events", () => {
  it("are read as they were written, and nothing else is", () => {
    for (const position of [
      { time: 1_769_817_600_000, seq: 17 },
      { time: 1_769_817_600_000, seq: 0 },
      { time: 0, item: id(3) },
    ]) {
      expect(parseId(formatId(position))).toEqual(position);
    }
    for (const wrong of ["", "x", "-1", "abc-", "a.b c", `${id(1)}-1`, "a-1-2", "A-1"]) {
      expect(parseId(wrong)).toBeUndefined();
    }
  });
});

onEachDatabase((databases) => {
  it("tells after a restart what was missed before it and since, then what comes", async () => {
    const database = await databases.empty();
    past(60_000);
    const before = await process(database);
    const first = await listen(before);
    for (const n of numbers(1, 4)) find(before, n);
    const had = await until(first.inbox, 4);
    first.response.destroy();
    // While nobody listens, there are new anomalies and one that grows.
    await before.store.writer.flush();
    for (const n of numbers(5, 7)) find(before, n);
    find(before, 2, { occurrence: 2n });
    await stop(before);
    vi.useRealTimers();

    const after = await process(database);
    find(after, 8);
    const lastId = had.ids[3]!;
    const events = await listen(after, "", { "last-event-id": lastId });
    const messages = await connect(after, `?last_event_id=${lastId}`);
    for (const { inbox } of [events, messages]) {
      const { found } = await until(inbox, 8);
      // What was stored after the reader received it is sent again; nothing else is.
      expect(found.filter((n) => ![1, 2, 3, 4].includes(n))).toEqual([5, 6, 7, 8]);
      expect(found).toContain(2);
      expect(new Set(found).size).toBe(found.length);
    }
    find(after, 9);
    for (const { inbox } of [events, messages]) expect(await inbox.ids(1)).toEqual([9]);
  });

  it("goes on where a reader was when it went away while it was told", async () => {
    const database = await databases.empty();
    past(60_000);
    const before = await process(database);
    const first = await listen(before);
    find(before, 1);
    const { ids } = await until(first.inbox, 1);
    first.response.destroy();
    await before.store.writer.flush();
    for (const part of [numbers(2, 130), numbers(131, 250)]) {
      vi.setSystemTime(Date.now() + 1_000);
      await before.store.anomalies.record(part.map((n) => report({ tenant: "default", id: id(n) })));
    }
    await stop(before);
    vi.useRealTimers();

    const after = await process(database);
    const second = await listen(after, "", { "last-event-id": ids[0]! });
    const part = await until(second.inbox, 120);
    second.response.destroy();
    const third = await listen(after, "", { "last-event-id": part.ids.at(-1)! });
    const rest = await until(third.inbox, 250);
    expect([...part.found, ...rest.found].filter((n) => n > 1)).toEqual(numbers(2, 250));
    find(after, 251);
    const live = await until(third.inbox, 251);
    expect(live.found).toEqual([251]);
    // The next process also understands the id of a live event.
    await stop(after);
    const last = await process(database);
    const fourth = await listen(last, "", { "last-event-id": live.ids[0]! });
    find(last, 252);
    expect((await until(fourth.inbox, 252)).found.filter((n) => n < 251)).toEqual([]);
  });

  it("tells what this process has found and no longer keeps", async () => {
    const database = await databases.empty();
    const running = await process(database, new LiveHub<AnomalyJson>({ batchMs: 5, keptSize: 20_000 }));
    const first = await listen(running);
    find(running, 1);
    const { ids } = await until(first.inbox, 1);
    first.response.destroy();
    for (const n of numbers(2, 60)) find(running, n);
    const back = await listen(running, "", { "last-event-id": ids[0]! });
    const { found } = await until(back.inbox, 60);
    expect([...new Set(found)].filter((n) => n > 1).sort((a, b) => a - b)).toEqual(numbers(2, 60));
    expect(new Set(found).size).toBe(found.length);
  });

  it("tells of a gap where some of that was not stored", async () => {
    const database = await databases.empty();
    const store = await database.open({ writer: { maxBytes: 4_000 } });
    const running = await start(
      {},
      { store, hub: new LiveHub<AnomalyJson>({ batchMs: 5, keptSize: 20_000 }) },
    );
    const first = await listen(running);
    find(running, 1);
    const { ids } = await until(first.inbox, 1);
    first.response.destroy();
    for (const n of numbers(2, 60)) find(running, n);
    const back = await listen(running, "", { "last-event-id": ids[0]! });
    let event = await back.inbox.next();
    while (event.event === "anomaly") event = await back.inbox.next();
    expect(event).toEqual({
      event: "gap",
      data: { reason: "some of what was found could not be stored" },
    });
    expect((await until(back.inbox, 60)).found.at(-1)).toBe(60);
  });

  it("goes on where a reader was when the clock was set back meanwhile", async () => {
    const running = await process(await databases.empty());
    const first = await listen(running);
    for (const n of numbers(1, 3)) find(running, n);
    const { ids } = await until(first.inbox, 3);
    first.response.destroy();
    past(3_600_000);
    for (const n of numbers(4, 6)) find(running, n);
    const back = await listen(running, "", { "last-event-id": ids[1]! });
    const { found, ids: later } = await until(back.inbox, 6);
    expect(found).toEqual([3, 4, 5, 6]);
    const times = [...ids, ...later].map((each) => parseId(each)!.time);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  it("gives ids that go on after those of the last process, whose clock was ahead", async () => {
    const database = await databases.empty();
    const ahead = await database.open({ now: () => Date.now() + 3_600_000 });
    await ahead.anomalies.record([report({ tenant: "default" })]);
    await ahead.close();
    const store = await database.open();
    const latest = await store.anomalies.latestChange();
    expect(latest).toBeGreaterThan(Date.now() + 3_500_000);
    const running = await start({}, { store, hub: new LiveHub<AnomalyJson>({ batchMs: 5 }, latest) });
    const { inbox } = await listen(running);
    find(running, 2);
    const { ids } = await until(inbox, 2);
    expect(parseId(ids[0]!)!.time).toBeGreaterThan(latest);
  });

  it("tells of a gap where the last event is of a time to come", async () => {
    const running = await process(await databases.empty());
    const future = formatId({ time: Date.now() + 3_600_000, seq: 1 });
    const { inbox } = await listen(running, `?last_event_id=${future}`);
    find(running, 1);
    expect(await inbox.next()).toEqual({
      event: "gap",
      data: { reason: "there is no such event as the last" },
    });
  });

  it("tells what people said meanwhile", async () => {
    const database = await databases.empty();
    past(60_000);
    const before = await process(database);
    const first = await listen(before);
    find(before, 1);
    find(before, 2);
    const { ids } = await until(first.inbox, 2);
    first.response.destroy();
    await before.store.writer.flush();
    vi.setSystemTime(Date.now() + 10_000);
    await before.store.anomalies.patch("default", id(1), { state: "resolved", author: "ann" });
    await stop(before);
    vi.useRealTimers();

    const after = await process(database);
    const back = await listen(after, "", { "last-event-id": ids[1]! });
    let event = await back.inbox.next();
    while (event.data.id !== id(1) || event.data.state === "open") event = await back.inbox.next();
    expect(event).toMatchObject({ event: "anomaly", data: { state: "resolved" } });
  });

  it("tells each tenant of its own, and those who take some alone of those", async () => {
    const database = await databases.empty();
    past(60_000);
    const before = await process(database);
    for (const tenant of ["mine", "theirs"]) {
      for (const n of numbers(1, 3)) {
        find(before, n, { tenant, severity: n === 2 ? Severity.HIGH : Severity.LOW, explanation: tenant });
      }
    }
    await stop(before);
    const since = formatId({ time: Date.now() - 1_000, seq: 1 });
    vi.useRealTimers();

    const after = await start({ auth: { enabled: true } }, { store: await database.open() });
    const mine = await keyOf(after, "mine", "read");
    const all = await listen(after, `?last_event_id=${since}`, mine);
    expect((await until(all.inbox, 3)).found).toEqual([1, 2, 3]);
    const high = await connect(after, `?severity=high&last_event_id=${since}`, { headers: mine });
    find(after, 4, { tenant: "theirs", severity: Severity.HIGH });
    find(after, 5, { tenant: "mine", severity: Severity.HIGH });
    expect((await until(high.inbox, 5)).found).toEqual([2, 5]);
    expect((await until(all.inbox, 5)).found).toEqual([5]);
  });

  it("tells of a gap while the store is away, and goes on", async () => {
    const database = await databases.empty();
    const running = await process(database);
    await running.store.close();
    const back = await listen(running, `?last_event_id=${formatId({ time: 0, seq: 1 })}`);
    expect(await back.inbox.next()).toEqual({
      event: "gap",
      data: { reason: "the store does not answer now" },
    });
    find(running, 1);
    expect(await back.inbox.ids(1)).toEqual([1]);
  });

  describe("a reader that comes back", () => {
    /** A store with this many anomalies of each tenant. */
    async function filled(count: number, ...tenants: string[]) {
      const database = await databases.empty();
      const store = await database.open();
      for (const tenant of tenants) {
        await store.anomalies.record(numbers(1, count).map((n) => report({ tenant, id: id(n) })));
      }
      return store;
    }

    interface Asking {
      tenant?: string;
      peer?: string;
      /** Time of the last event that the reader received. */
      since?: number;
      ready?: () => boolean;
      gone?: AbortSignal;
    }

    /** Resolves to what the reader received, once the replay has ended. */
    async function comeBack(replay: Replay<AnomalyJson>, hub: LiveHub<AnomalyJson>, asking: Asking = {}) {
      const { tenant = "acme", peer = "127.0.0.1", since = 0, ready = () => true } = asking;
      const given: Batch[number][] = [];
      const batches: number[] = [];
      const dropped: string[] = [];
      const reader: Reader = {
        tenant,
        peer,
        accepts: undefined,
        ready,
        give(batch) {
          given.push(...batch);
          batches.push(batch.length);
        },
        heartbeat() {},
        drop: (_ending, reason) => dropped.push(reason),
      };
      const { returning, end } = hub.subscribe(reader, formatId({ time: since, seq: 1 }));
      await replay.run(reader, returning!, asking.gone ?? new AbortController().signal);
      end();
      return { given, batches, dropped };
    }

    async function replay(count: number, limits: Partial<ReplayLimits>, ready = () => true) {
      const store = await filled(count, "acme");
      const hub = new LiveHub<AnomalyJson>({ batchMs: 1 });
      try {
        return await comeBack(new Replay(anomalySource(store), silent, limits), hub, { ready });
      } finally {
        hub.close();
      }
    }

    it("is told so many at the most, in pages", async () => {
      const { given, batches } = await replay(25, { items: 10, page: 5 });
      expect(batches).toEqual([5, 5, 1]);
      expect(given.at(-1)).toEqual({
        name: "gap",
        data: { reason: "more than 10 anomalies have changed since" },
      });
    });

    it("is given so much at once, and a larger event alone", async () => {
      const { batches, given } = await replay(7, { page: 5, part: 1 });
      expect(batches).toEqual([1, 1, 1, 1, 1, 1, 1]);
      expect(new Set(given.map((event) => "id" in event && event.data.id)).size).toBe(7);
    });

    it("costs no page where it has gone before its turn, or does not read", async () => {
      const store = await filled(30, "acme");
      const hub = new LiveHub<AnomalyJson>({ batchMs: 1 });
      const replay = new Replay(anomalySource(store), silent, { page: 5 });
      const gone = new AbortController();
      const leaving = numbers(1, 200).map((since) => comeBack(replay, hub, { since, gone: gone.signal }));
      const stuck = numbers(201, 400).map((since) =>
        comeBack(replay, hub, { since, gone: gone.signal, ready: () => false }),
      );
      await new Promise(setImmediate);
      gone.abort();
      for (const { given } of await Promise.all([...leaving, ...stuck])) expect(given).toEqual([]);
      expect(replay.waiting).toBe(0);
      expect(replay.pagesRead).toBeLessThan(20);
      expect(hub.readers).toBe(0);
    });

    it("waits for one page of each other tenant and each other peer, however many come back there", async () => {
      const store = await filled(4, "evil", "good");
      const hub = new LiveHub<AnomalyJson>({ batchMs: 1 });
      const replay = new Replay(anomalySource(store), silent, { page: 5 });
      const order: string[] = [];
      const back = async (asking: Asking) => {
        await comeBack(replay, hub, asking);
        order.push(`${asking.tenant} ${asking.peer}`);
      };
      await Promise.all([
        ...numbers(1, 50).map((since) => back({ tenant: "evil", peer: "10.0.0.1", since })),
        back({ tenant: "evil", peer: "10.0.0.2", since: 51 }),
        back({ tenant: "good", peer: "10.0.0.1", since: 52 }),
      ]);
      expect(order.indexOf("good 10.0.0.1")).toBeLessThan(4);
      expect(order.indexOf("evil 10.0.0.2")).toBeLessThan(5);
    });

    it("shares its pages with those who come back to the same place", async () => {
      const store = await filled(12, "acme");
      const hub = new LiveHub<AnomalyJson>({ batchMs: 1 });
      const replay = new Replay(anomalySource(store), silent, { page: 5 });
      const readers = await Promise.all(numbers(1, 40).map(() => comeBack(replay, hub)));
      for (const { given } of readers) expect(given).toHaveLength(12);
      expect(replay.pagesRead).toBeLessThan(10);
    });

    it("is told a whole page and no more", async () => {
      expect((await replay(10, { items: 20, page: 5 })).given).toHaveLength(10);
    });

    it("is dropped when it takes nothing", async () => {
      const { given, dropped } = await replay(5, { stallMs: 50 }, () => false);
      expect(given).toEqual([]);
      expect(dropped).toEqual(["too slow: it took nothing for too long"]);
    });

    it("is given what it missed as fast as it takes it", async () => {
      let busy = true;
      void sleep(100).then(() => {
        busy = false;
      });
      expect((await replay(5, {}, () => !busy)).given).toHaveLength(5);
    });
  });
});
