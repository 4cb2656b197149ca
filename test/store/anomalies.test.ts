import { equals, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, it } from "vitest";
import {
  type Anomaly,
  AnomalySchema,
  Channel,
  Severity,
  Signal,
} from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { stepSize } from "../../src/store/anomalies/search.ts";
import type { AnomalyFilter, Store } from "../../src/store/index.ts";
import { fresh, onEachDatabase } from "./databases.ts";
import { ending, id, midnight, report, versions } from "./fixtures.ts";

/** Returns every anomaly of a tenant, without what depends on the clock. */
async function everything(store: Store, tenant: string) {
  const { items } = await store.anomalies.list(tenant, {}, { limit: 1_000 });
  const whole = await Promise.all(items.map((item) => store.anomalies.get(tenant, item.id)));
  return whole.map((anomaly) => ({ ...anomaly!, recordedAt: 0, changedAt: 0 }));
}

/** Reads all pages. */
async function walk(
  store: Store,
  filter: AnomalyFilter,
  limit: number,
  between: () => Promise<void> = async () => {},
): Promise<string[]> {
  const ids: string[] = [];
  for (let after: string | undefined; ; ) {
    const page = await store.anomalies.list("acme", filter, { limit, ...(after ? { after } : {}) });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    ids.push(...page.items.map((item) => item.id));
    if (page.next === undefined) return ids;
    after = page.next;
    await between();
  }
}

const reportOf = fc.record({
  anomaly: fc.integer({ min: 1, max: 3 }),
  occurrence: fc.bigInt({ min: 1n, max: 20n }),
  margin: fc.integer({ min: 1, max: 4 }),
  news: fc.boolean(),
  severity: fc.constantFrom(Severity.LOW, Severity.HIGH, Severity.CRITICAL),
  channel: fc.constantFrom(Channel.CONTENT, Channel.SEQUENCE, Channel.VALUE),
  record: fc.integer({ min: 1, max: 9 }),
  ended: fc.boolean(),
});

function build({
  anomaly,
  occurrence,
  margin,
  news,
  severity,
  channel,
  record,
  ended,
}: typeof reportOf extends fc.Arbitrary<infer T> ? T : never): Anomaly {
  const init = {
    id: id(anomaly),
    occurrence,
    startTimeUnixNano: midnight + BigInt(anomaly),
    endTimeUnixNano: midnight + BigInt(anomaly) + occurrence,
  };
  if (ended) return ending(init);
  return report({
    ...init,
    margin,
    news,
    severity,
    channel,
    record: { text: `record ${record}` },
    ...(occurrence === 1n ? { excerpts: { window: new Uint8Array([1, 2, 3]) } } : {}),
  });
}

onEachDatabase((databases) => {
  it("keeps what all reports of an anomaly say together", async () => {
    const { store } = await fresh(databases);
    const excerpts = { baseline: new Uint8Array([1]), window: new Uint8Array([2]) };
    const first = report({ excerpts, record: { text: "first" } });
    const strongest = report({
      occurrence: 2n,
      severity: Severity.CRITICAL,
      channel: Channel.SEQUENCE,
      endTimeUnixNano: midnight + 5n,
      record: { text: "strongest" },
    });
    const later = report({
      occurrence: 4n,
      score: 40,
      endTimeUnixNano: midnight + 9n,
      record: { text: "later" },
    });
    const end = ending({ occurrence: 7n, endTimeUnixNano: midnight + 12n });
    for (const each of [first, strongest, later, end]) await store.anomalies.record([each]);

    const { items } = await store.anomalies.list("acme");
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({
      tenant: "acme",
      id: id(1),
      stream: "logs service.name=checkout",
      service: "checkout",
      signal: Signal.LOGS,
      channels: [Channel.CONTENT, Channel.SEQUENCE],
      severity: Severity.CRITICAL,
      startTime: midnight,
      endTime: midnight + 12n,
      occurrences: 7n,
      ended: true,
      state: "ended",
    });
    expect(equals(AnomalySchema, items[0]!.strongest!.message, strongest)).toBe(true);

    const detail = (await store.anomalies.get("acme", id(1)))!;
    expect(equals(AnomalySchema, detail.first!.message, first)).toBe(true);
    expect(Buffer.from(detail.first!.bytes).equals(toBinary(AnomalySchema, first))).toBe(true);
    expect(equals(AnomalySchema, detail.strongest!.message, strongest)).toBe(true);
    expect(detail.examples.map(({ message }) => message.record?.text)).toEqual([
      "first",
      "strongest",
      "later",
    ]);
    expect(await store.anomalies.get("acme", id(2))).toBeUndefined();
  });

  it("keeps the settings, versions and seed that each report was computed with", async () => {
    const database = await databases.empty();
    const store = await database.open();
    await store.anomalies.record([report()]);
    const other = await database.open({ versions: { ...versions, version: "9.9.9" } });
    await other.anomalies.record([report({ occurrence: 2n, margin: 9, record: { text: "another" } })]);

    const { first, strongest, settings } = (await store.anomalies.get("acme", id(1)))!;
    const bodyOf = (hash: string) => JSON.parse(settings.find((each) => each.hash === hash)!.body);
    expect(bodyOf(first!.settingsHash)).toMatchObject({ detect: { seed: 42 }, versions });
    expect(bodyOf(strongest!.settingsHash).versions.version).toBe("9.9.9");
  });

  it("keeps five distinct records as examples, and no more reports than it has to", async () => {
    const { store, database } = await fresh(databases);
    for (let n = 0; n < 12; n++) {
      const text = n === 1 ? "record 0" : `record ${n}`;
      await store.anomalies.record([
        report({ occurrence: 1n << BigInt(n), margin: 2 + n, record: { text } }),
      ]);
    }
    const { first, strongest, examples } = (await store.anomalies.get("acme", id(1)))!;
    expect(examples.map(({ message }) => message.record?.text)).toEqual(
      [0, 2, 3, 4, 5].map((n) => `record ${n}`),
    );
    expect(first!.message.occurrence).toBe(1n);
    expect(strongest!.message.margin).toBe(13);
    const [row] = await database.query("select count(*) as n from anomaly_reports");
    expect(Number(row!.n)).toBe(6);
  });

  it("keeps what is new, and heads the anomaly with what is gravest and then rarest", async () => {
    const { store } = await fresh(databases);
    const flicker = { channel: Channel.VALUE, severity: Severity.HIGH, score: 900, limit: 10, margin: 80 };
    for (let n = 0; n < 9; n++) {
      const occurrence = 1n << BigInt(n);
      await store.anomalies.record([
        report({ ...flicker, occurrence, news: n === 0, record: { text: `took ${n} s` } }),
      ]);
    }
    const late = [
      { channel: Channel.CONTENT, severity: Severity.LOW, margin: 3, record: { text: "retrying" } },
      { channel: Channel.CONTENT, severity: Severity.CRITICAL, margin: 5, record: { text: "data loss" } },
      {
        channel: Channel.VOLUME,
        severity: Severity.LOW,
        margin: 2,
        explanation: "A burst",
        record: undefined,
      },
      {
        channel: Channel.VOLUME,
        severity: Severity.LOW,
        margin: 1,
        explanation: "A drop",
        record: undefined,
      },
      { channel: Channel.VALUE, severity: Severity.HIGH, margin: 90, record: { text: "took 99 s" } },
    ];
    for (const [n, each] of late.entries())
      await store.anomalies.record([report({ ...each, news: n < 4, occurrence: 301n + BigInt(n) })]);
    const { strongest, examples, severity } = (await store.anomalies.get("acme", id(1)))!;
    expect(severity).toBe(Severity.CRITICAL);
    expect(strongest!.message.record!.text).toBe("data loss");
    expect((await store.anomalies.list("acme")).items[0]!.strongest!.message.record!.text).toBe("data loss");
    expect(examples.map(({ message }) => message.record?.text ?? message.explanation)).toEqual([
      "took 0 s",
      "retrying",
      "data loss",
      "A burst",
      "A drop",
    ]);
  });

  it("does not depend on the order of reports, nor on how often they come", { timeout: 60_000 }, async () => {
    const { store, database } = await fresh(databases, { now: () => 1 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(reportOf, { minLength: 1, maxLength: 24 }).chain((inits) =>
          fc.record({
            inits: fc.constant(inits),
            other: fc.shuffledSubarray([...inits, ...inits.slice(0, 5)], {
              minLength: inits.length + Math.min(5, inits.length),
            }),
            cuts: fc.array(fc.integer({ min: 1, max: 24 }), { minLength: 1, maxLength: 4 }),
          }),
        ),
        async ({ inits, other, cuts }) => {
          await database.query("delete from anomalies");
          await store.anomalies.record(inits.map(build));
          const expected = await everything(store, "acme");
          await database.query("delete from anomalies");
          for (let at = 0, i = 0; at < other.length; at += cuts[i % cuts.length]!, i++) {
            await store.anomalies.record(other.slice(at, at + cuts[i % cuts.length]!).map(build));
          }
          expect(await everything(store, "acme")).toEqual(expected);
        },
      ),
      { numRuns: 30 },
    );
  });

  it("pages without gap or duplicate while others are added", async () => {
    const { store } = await fresh(databases);
    // Many have the same start, so that pages end among equals.
    const make = (n: number) => report({ id: id(n), startTimeUnixNano: midnight + BigInt((n * 7) % 10) });
    await store.anomalies.record(Array.from({ length: 60 }, (_, n) => make(n)));
    const before = Array.from({ length: 60 }, (_, n) => id(n));
    let added = 60;
    const seen = await walk(store, {}, 7, async () => {
      await store.anomalies.record(Array.from({ length: 11 }, () => make(added++)));
    });
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining(before));

    const { items } = await store.anomalies.list("acme", {}, { limit: 1_000 });
    expect(items).toHaveLength(added);
    const order = items.map((item) => [item.startTime, item.id] as const);
    const sorted = order.toSorted(([a, x], [b, y]) => (a === b ? (x < y ? 1 : -1) : a < b ? 1 : -1));
    expect(order).toEqual(sorted);
    expect(await walk(store, {}, 7)).toEqual(items.map((item) => item.id));
  });

  it("filters by what a person asks for", async () => {
    const { store } = await fresh(databases);
    const at = (n: number) => midnight + BigInt(n) * 1_000_000_000n;
    await store.anomalies.record([
      report({ id: id(1), startTimeUnixNano: at(1), severity: Severity.LOW }),
      report({ id: id(2), startTimeUnixNano: at(2), channel: Channel.VALUE, signal: Signal.METRICS }),
      report({ id: id(3), startTimeUnixNano: at(3), stream: "logs service.name=cart", serviceName: "cart" }),
      report({ id: id(4), startTimeUnixNano: at(4), record: { text: "100%_SURE \\ Größe 'x'" } }),
      report({ id: id(5), startTimeUnixNano: at(5), explanation: "Silence: no records" }),
      ending({ id: id(5), startTimeUnixNano: at(5) }),
      report({ id: id(5), startTimeUnixNano: at(5), occurrence: 2n, channel: Channel.VOLUME }),
    ]);
    await store.anomalies.patch("acme", id(1), { state: "acknowledged", author: "ann" });
    const found = async (filter: AnomalyFilter) =>
      (await store.anomalies.list("acme", filter)).items.map((item) => Number(`0x${item.id}`)).sort();

    expect(await found({})).toEqual([1, 2, 3, 4, 5]);
    expect(await found({ from: at(2), until: at(4) })).toEqual([2, 3]);
    expect(await found({ stream: "logs service.name=cart" })).toEqual([3]);
    const { items } = await store.streams.list("acme", { service: "cart" });
    expect(await found({ streamId: items[0]!.id })).toEqual([3]);
    expect(await found({ service: "cart" })).toEqual([3]);
    expect(await found({ signal: [Signal.METRICS] })).toEqual([2]);
    expect(await found({ channel: [Channel.VALUE, Channel.VOLUME] })).toEqual([2, 5]);
    expect(await found({ severity: [Severity.LOW] })).toEqual([1]);
    expect(await found({ state: ["acknowledged"] })).toEqual([1]);
    expect(await found({ state: ["open"] })).toEqual([2, 3, 4]);
    expect(await found({ state: ["ended", "acknowledged"] })).toEqual([1, 5]);
    expect(await found({ text: "größe" })).toEqual([4]);
    expect(await found({ text: "%_sure \\" })).toEqual([4]);
    expect(await found({ text: "0%s" })).toEqual([]);
    expect(await found({ text: "'x'" })).toEqual([4]);
    expect(await found({ text: "silence" })).toEqual([5]);
    expect(await found({ text: "reset", severity: [Severity.MEDIUM], until: at(3) })).toEqual([2]);
    expect(await found({ service: "nobody's" })).toEqual([]);
  });

  it("finds the same in steps, and ends a page that takes too long where the next goes on", async () => {
    let now = 1_000;
    let slow = 0;
    const { store } = await fresh(databases, { now: () => (now += slow) });
    const count = 2 * stepSize + 10;
    const rare = [3, stepSize - 1, stepSize, stepSize + 1, count - 1];
    const found = rare.map((n) => id(n)).reverse();
    for (let n = 0; n < count; n += 501) {
      const batch = Array.from({ length: Math.min(501, count - n) }, (_, i) => n + i);
      await store.anomalies.record(
        batch.map((each) =>
          report({
            id: id(each),
            // Some begin at the same time.
            startTimeUnixNano: midnight + BigInt(each >> 2),
            ...(rare.includes(each) && { severity: Severity.CRITICAL, record: { text: "a needle" } }),
          }),
        ),
      );
    }
    const service = "checkout";
    const filters: AnomalyFilter[] = [
      { text: "NEEDLE" },
      { severity: [Severity.CRITICAL] },
      { service, text: "needle" },
      { stream: "logs service.name=checkout", service, severity: [Severity.CRITICAL], text: "needle" },
      { state: ["open"], severity: [Severity.CRITICAL] },
      { state: ["open", "ended"], text: "needle" },
    ];
    for (const filter of filters) {
      slow = 0;
      const whole = await store.anomalies.list("acme", filter);
      expect(whole.items.map((item) => item.id)).toEqual(found);
      expect(whole.next).toBeUndefined();
      expect(await walk(store, filter, 2)).toEqual(found);
      slow = 2_000;
      expect(await walk(store, filter, 100)).toEqual(found);
    }
    const page = await store.anomalies.list("acme", { text: "nowhere" });
    expect(page).toEqual({ items: [], next: expect.any(String) });
    expect(await walk(store, { text: "nowhere" }, 100)).toEqual([]);
    // Rows that are adjacent in an index are found at once.
    expect((await store.anomalies.list("acme", { service }, { limit: 1_000 })).items).toHaveLength(1_000);
  });

  it("refuses what is no page", async () => {
    const { store } = await fresh(databases);
    const cursor = (text: string) => Buffer.from(text).toString("base64url");
    for (const page of [
      { limit: 0 },
      { limit: 1_001 },
      { limit: 1.5 },
      { after: "" },
      { after: "%" },
      { after: cursor("1") },
      { after: cursor(`${2n ** 63n} x`) },
      { after: cursor("1 a\0b") },
      { after: "A".repeat(10_000) },
    ]) {
      await expect(store.anomalies.list("acme", {}, page)).rejects.toThrow(/^(limit|after): /);
    }
    await expect(store.anomalies.list("acme", { text: "x".repeat(257) })).rejects.toThrow("text: must be");
  });

  it("records who said what of an anomaly, and keeps it when more is reported", async () => {
    const { store } = await fresh(databases);
    await store.anomalies.record([report()]);
    await store.anomalies.patch("acme", id(1), { state: "acknowledged", author: "ann", note: "looking" });
    await store.anomalies.record([report({ occurrence: 2n })]);
    const patched = (await store.anomalies.patch("acme", id(1), { state: "false", author: "bob" }))!;
    expect(patched).toMatchObject({ state: "false", ended: false, occurrences: 2n });
    await store.anomalies.record([ending({ occurrence: 2n })]);

    const { state, ended, events } = (await store.anomalies.get("acme", id(1)))!;
    expect([state, ended]).toEqual(["false", true]);
    expect(events.map(({ state, author, note }) => ({ state, author, note }))).toEqual([
      { state: "acknowledged", author: "ann", note: "looking" },
      { state: "false", author: "bob", note: "" },
    ]);
    const { items } = await store.audit.list("acme");
    expect(items.map(({ actor, action, target }) => [actor, action, target])).toEqual([
      ["bob", "anomaly.false", id(1)],
      ["ann", "anomaly.acknowledged", id(1)],
    ]);
    await expect(
      store.anomalies.patch("acme", id(1), { state: "open" as never, author: "ann" }),
    ).rejects.toThrow("state: must be one of acknowledged, resolved, accepted, false");
    await expect(store.anomalies.patch("acme", id(1), { state: "resolved", author: "" })).rejects.toThrow(
      "author: must not be empty",
    );
    expect(await store.anomalies.patch("acme", id(9), { state: "resolved", author: "ann" })).toBeUndefined();
    expect((await store.audit.verify("acme")).ok).toBe(true);
  });

  it("numbers what several people say at once", async () => {
    const { store } = await fresh(databases);
    await store.anomalies.record([report()]);
    const authors = Array.from({ length: 8 }, (_, n) => `author ${n}`);
    await Promise.all(
      authors.map((author) => store.anomalies.patch("acme", id(1), { state: "acknowledged", author })),
    );
    const { events } = (await store.anomalies.get("acme", id(1)))!;
    expect(events.map(({ author }) => author).sort()).toEqual(authors);
    expect(await store.audit.verify("acme")).toMatchObject({ ok: true, entries: 8 });
  });

  it("takes text that no database likes, and times beyond all calendars", async () => {
    const { store } = await fresh(databases);
    const hostile = report({
      stream: `a\0b${"x".repeat(5_000)}`,
      serviceName: "\0 ünïcode'; drop table anomalies; --",
      explanation: "",
      score: Number.NaN,
      limit: 0,
      severity: 99 as Severity,
      channel: 1_000 as Channel,
      startTimeUnixNano: 0n,
      endTimeUnixNano: 2n ** 64n - 1n,
      occurrence: 2n ** 64n - 1n,
      record: { text: "\0 needle \0" },
    });
    await store.anomalies.record([hostile]);
    const { items } = await store.anomalies.list("acme", { text: "needle" });
    expect(items[0]).toMatchObject({ startTime: 0n, endTime: 2n ** 63n - 1n, occurrences: 2n ** 63n - 1n });
    expect(items[0]!.service).toContain("drop table");
    expect((await store.anomalies.list("acme", { service: hostile.serviceName })).items).toHaveLength(1);
    expect((await store.anomalies.list("acme", { stream: hostile.stream })).items).toHaveLength(1);
  });

  it("stores all of a batch or nothing", async () => {
    const { store } = await fresh(databases);
    for (const bad of [report({ tenant: "" }), report({ tenant: "a\0b" }), report({ id: "../x" })]) {
      await expect(store.anomalies.record([report({ id: id(7) }), bad])).rejects.toThrow(
        /^(tenant|id): must/,
      );
    }
    expect((await store.anomalies.list("acme")).items).toEqual([]);
  });

  it("lets several writers write the same anomalies at once", async () => {
    const database = await databases.empty();
    const stores = await Promise.all([database.open(), database.open()]);
    const batch = (store: number) =>
      Array.from({ length: 120 }, (_, n) =>
        report({
          id: id(store === 0 ? n : 119 - n),
          tenant: n % 2 ? "acme" : "umbrella",
          occurrence: BigInt(store + 1),
        }),
      );
    await Promise.all(
      [0, 1, 0, 1].map(async (n) => {
        for (const tenant of ["acme", "umbrella"]) {
          await stores[n]!.anomalies.record(batch(n).map((each) => ({ ...each, tenant })));
        }
      }),
    );
    for (const tenant of ["acme", "umbrella"]) {
      const { items } = await stores[0]!.anomalies.list(tenant, {}, { limit: 1_000 });
      expect(items).toHaveLength(120);
      expect(items.every((item) => item.occurrences === 2n)).toBe(true);
    }
  });
});
