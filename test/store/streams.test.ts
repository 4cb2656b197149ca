/** Statistics of streams, current and over time. */
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import type { StatisticsPage } from "../../src/engine/statistics.ts";
import { Channel, Signal } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { StoreUnavailable, StreamFeed, type StreamObservation } from "../../src/store/index.ts";
import { fresh, onEachDatabase } from "./databases.ts";
import { id, midnight, report, observation as seen, silent } from "./fixtures.ts";

const minute = 60_000;
/** The beginning of a point. */
const noon = Date.UTC(2026, 0, 31, 12);

onEachDatabase((databases) => {
  describe("streams", () => {
    it("add up what is seen of them, and count their anomalies", async () => {
      const { store } = await fresh(databases);
      await store.streams.record([
        seen({ state: "learning", progress: 0.5 }),
        seen({ lastSeen: midnight + 30n, records: 1n, flagged: 1n, withheld: 3n }),
      ]);
      await store.streams.record([
        seen({
          firstSeen: midnight - 5n,
          lastSeen: midnight,
          baselineAt: midnight + 20n,
          records: 9n,
          flagged: 2n,
          withheld: 4n,
        }),
      ]);
      await store.anomalies.record([
        report(),
        report({ id: id(2) }),
        report({ id: id(3), tenant: "umbrella" }),
      ]);
      const { items } = await store.streams.list("acme");
      expect(items).toEqual([
        {
          tenant: "acme",
          key: "logs service.name=checkout",
          signal: Signal.LOGS,
          service: "checkout",
          state: "watching",
          progress: 1,
          baselineAt: midnight + 20n,
          firstSeen: midnight - 5n,
          lastSeen: midnight + 30n,
          records: 110n,
          flagged: 3n,
          withheld: 7n,
          id: expect.stringMatching(/^[0-9a-f]{32}$/),
          anomalies: 2n,
          recordedAt: expect.any(Number),
          reportedAt: expect.any(Number),
          recentRate: expect.closeTo(11, 0),
        },
      ]);
      const got = await store.streams.get("acme", items[0]!.id);
      expect(got).toEqual({ ...items[0], recentRate: expect.any(Number) });
      expect(await store.streams.get("acme", "0".repeat(32))).toBeUndefined();
    });

    it("keep the state that the engine reported when an anomaly of theirs is stored late", async () => {
      const { store } = await fresh(databases);
      await store.streams.record([seen({ state: "shelved", baselineAt: midnight })]);
      await store.anomalies.record([report({ endTimeUnixNano: midnight + 99n })]);
      expect((await store.streams.list("acme")).items).toMatchObject([
        { state: "shelved", baselineAt: midnight, records: 100n, lastSeen: midnight + 99n },
      ]);
    });

    it("are there from their first anomaly on, before the engine has reported anything about them", async () => {
      const { store } = await fresh(databases);
      await store.anomalies.record([report()]);
      expect((await store.streams.list("acme")).items).toMatchObject([
        { state: "watching", records: 0n, recentRate: 0 },
      ]);
    });

    it("were seen when their records came, where those carry no time", async () => {
      const { store } = await fresh(databases, { now: () => noon });
      await store.streams.record([seen({ firstSeen: undefined, lastSeen: undefined })]);
      const time = BigInt(noon) * 1_000_000n;
      expect((await store.streams.list("acme")).items).toMatchObject([{ firstSeen: time, lastSeen: time }]);
    });

    it("are listed in pages and by what they are", async () => {
      const { store } = await fresh(databases);
      await store.streams.record(
        Array.from({ length: 25 }, (_, n) =>
          seen({
            key: `metrics service.name=s${n}`,
            service: `s${n % 5}`,
            signal: n % 2 ? Signal.METRICS : Signal.TRACES,
            firstSeen: midnight + BigInt(n % 3),
            state: n === 0 ? "evicted" : n === 1 ? "limited" : "watching",
          }),
        ),
      );
      const keys: string[] = [];
      for (let after: string | undefined; ; ) {
        const page = await store.streams.list("acme", {}, { limit: 4, ...(after ? { after } : {}) });
        keys.push(...page.items.map(({ key }) => key));
        if (page.next === undefined) break;
        after = page.next;
      }
      expect(new Set(keys).size).toBe(25);
      expect(keys).toHaveLength(25);
      const count = async (filter: Parameters<typeof store.streams.list>[1]) =>
        (await store.streams.list("acme", filter)).items.length;
      expect(await count({ service: "s1" })).toBe(5);
      expect(await count({ signal: [Signal.METRICS] })).toBe(12);
      expect(await count({ signal: [Signal.METRICS, Signal.TRACES], state: ["evicted"] })).toBe(1);
      expect(await count({ state: ["evicted", "limited"] })).toBe(2);
    });

    it("have a day of history: a point for five minutes, with the strangest of them", async () => {
      let now = noon + minute;
      const { store, database } = await fresh(databases, { now: () => now });
      const history = async () => {
        const [stream] = (await store.streams.list("acme")).items;
        return store.streams.history("acme", stream!);
      };
      await store.streams.record([
        seen({ records: 60n, score: 2, channel: Channel.VOLUME, pValue: 0.01 }),
        seen({ records: 40n, flagged: 1n, score: 9, channel: Channel.CONTENT, pValue: 0.02 }),
      ]);
      now += 10_000;
      await store.streams.record([seen({ records: 100n, score: 3, channel: Channel.VALUE, pValue: 0.5 })]);
      // The rate is over twenty seconds: ten before the stream was first recorded, and ten after it.
      const first = { time: noon, flagged: 1n, score: 9, channel: Channel.CONTENT, pValue: 0.01 };
      expect(await history()).toEqual([{ ...first, records: 200n, rate: 10 }]);

      now = noon + 7 * minute;
      await store.streams.record([seen({ records: 300n, score: 1, channel: Channel.VALUE, pValue: 0.1 })]);
      const second = { time: noon + 5 * minute, flagged: 0n, score: 1, channel: Channel.VALUE, pValue: 0.1 };
      expect(await history()).toEqual([
        { ...first, records: 200n, rate: 200 / 250 },
        { ...second, records: 300n, rate: 2.5 },
      ]);
      expect((await store.streams.list("acme")).items[0]!.recentRate).toBeCloseTo(500 / 370, 9);

      // Statistics without records make no point; a day later the ring starts anew.
      now = noon + 12 * minute;
      await store.streams.record([seen({ records: 0n, state: "evicted" })]);
      expect(await history()).toHaveLength(2);
      expect((await store.streams.list("acme")).items[0]!.recentRate).toBeCloseTo(300 / 420, 9);
      now = noon + 24 * 60 * minute;
      await store.streams.record([seen({ records: 7n, pValue: 0.9 })]);
      expect(await history()).toMatchObject([
        second,
        { time: now, records: 7n, flagged: 0n, score: 0, pValue: 0.9 },
      ]);
      now += 5 * minute;
      expect(await history()).toMatchObject([{ records: 7n }]);
      const rows = await database.query("select time from stream_points");
      expect(rows).toHaveLength(2);
    });

    it("go with their points once they are too many", { timeout: 60_000 }, async () => {
      const { store, database } = await fresh(databases, { now: () => noon });
      const time = BigInt(noon) * 1_000_000n;
      await store.anomalies.record([report({ stream: "stream 3", startTimeUnixNano: time })]);
      const streams = Array.from({ length: 20_400 }, (_, n) =>
        seen({
          key: `stream ${n}`,
          firstSeen: time,
          lastSeen: time + BigInt(n),
          state: n < 10 ? "watching" : n % 2 ? "limited" : "evicted",
        }),
      );
      for (let at = 0; at < streams.length; at += 1_000)
        await store.streams.record(streams.slice(at, at + 1_000));
      expect(await store.retention.run()).toMatchObject({ streams: 400 });
      expect(await store.retention.run()).toMatchObject({ streams: 0 });
      const rows = await database.query(
        "select key from streams where last_seen < 1 + (select max(last_seen) from streams) - 20000 order by last_seen",
      );
      expect(rows.map(({ key }) => key)).toEqual(Array.from({ length: 10 }, (_, n) => `stream ${n}`));
      const [{ n }] = (await database.query("select count(*) as n from stream_points")) as [{ n: unknown }];
      expect(Number(n)).toBe(20_000);
    });
  });

  describe("the feed of streams", () => {
    /** An engine with `streams` streams that change all the time. */
    function source(streams: number) {
      let at = 0;
      const asked: number[] = [];
      const statistics = async (most: number): Promise<StatisticsPage> => {
        asked.push(most);
        const page = Array.from({ length: Math.min(most, streams) }, () =>
          seen({ key: `stream ${at++ % streams}`, records: 1n }),
        );
        return { streams: page, left: streams - page.length, bytes: new Uint8Array() };
      };
      return { statistics, asked };
    }

    it("takes all that has changed, once, however fast it changes", async () => {
      const { store } = await fresh(databases);
      const engine = source(700);
      const feed = new StreamFeed(engine, store.streams, silent, 1e6);
      await Promise.all([feed.flush(), feed.flush()]);
      expect((await store.streams.list("acme", {}, { limit: 1_000 })).items).toHaveLength(700);
      expect(engine.asked).toHaveLength(3);
      await feed.close(5_000);
      expect(engine.asked).toHaveLength(6);
    });

    it("makes up for what came while the store was away", async () => {
      const { store } = await fresh(databases);
      let away = true;
      const streams = {
        async record(batch: readonly StreamObservation[]) {
          if (away) throw new StoreUnavailable("away");
          await store.streams.record(batch);
        },
      };
      const engine = source(3);
      const feed = new StreamFeed(engine, streams, silent, 1e6);
      for (let i = 0; i < 5; i++) await feed.flush();
      // Nothing more is requested from the engine, which accumulates the statistics.
      expect(engine.asked).toHaveLength(1);
      away = false;
      await feed.flush();
      const { items } = await store.streams.list("acme");
      expect(items.map(({ records }) => records)).toEqual([2n, 2n, 2n]);
      await feed.close(0);
    });

    it("says at the close what is lost, and nothing once it is stopped", async () => {
      const messages: string[] = [];
      const log = pino(
        { level: "debug" },
        { write: (line: string) => void messages.push(JSON.parse(line).msg) },
      );
      const away = {
        async record() {
          throw new StoreUnavailable("away");
        },
      };
      const closing = new StreamFeed(source(3), away, log, 1e6);
      await closing.close(5_000);
      expect(messages).toEqual(["store: the latest statistics of streams are lost"]);

      // The engine is closed while a request for statistics is pending.
      const answer = Promise.withResolvers<StatisticsPage>();
      const stopped = new StreamFeed({ statistics: () => answer.promise }, away, log, 1e6);
      const flushed = stopped.flush();
      stopped.stop();
      answer.reject(new Error("closed"));
      await flushed;
      expect(messages).toHaveLength(1);
    });

    it("is not held up by what no database takes", async () => {
      const { store } = await fresh(databases);
      const batch = Array.from({ length: 9 }, (_, n) =>
        seen({ key: `stream ${n}`, tenant: n === 4 ? "x".repeat(500) : "acme" }),
      );
      const engine = { statistics: async () => ({ streams: batch.splice(0), left: 0 }) };
      const feed = new StreamFeed(engine, store.streams, silent, 1e6);
      await feed.flush();
      const { items } = await store.streams.list("acme");
      expect(items.map(({ key }) => key).sort()).toEqual([0, 1, 2, 3, 5, 6, 7, 8].map((n) => `stream ${n}`));
      expect(items.every(({ records }) => records === 100n)).toBe(true);
      await feed.close(0);
    });
  });
});
