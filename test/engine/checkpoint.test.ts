import { expect, test } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { Engine, EnginePool, type StateRecord } from "../../src/engine/index.ts";
import { logsRequest, normalLine, random, strangeLine } from "./requests.ts";

const { detect } = configSchema.parse({ detect: { baseline: { records: 200 } } });
const engineOf = (overrides: object = {}) =>
  new Engine({ ...detect, ...overrides }, { mode: "all", scores: true });

const next = random(3);
const lines = (count: number) => logsRequest(Array.from({ length: count }, () => normalLine(next)));
const strange = () => logsRequest([...Array.from({ length: 20 }, () => normalLine(next)), strangeLine()]);

/** Applies a checkpoint to what was kept before, and returns the number of records that were written. */
async function keep(state: Map<string, StateRecord>, checkpoint: AsyncIterable<StateRecord[]>) {
  let written = 0;
  for await (const records of checkpoint) {
    for (const record of records) {
      if (record.value === null) state.delete(record.key.toString("hex"));
      else state.set(record.key.toString("hex"), record);
      written++;
    }
  }
  return written;
}

/** The records one by one, the last ones first. */
function* pieces(state: Map<string, StateRecord>) {
  for (const record of [...state.values()].reverse()) yield [record];
}

test("what was checkpointed and what came since, judged silently, give the engine that never stopped", async () => {
  const one = engineOf();
  for (let i = 0; i < 20; i++)
    for (let k = 0; k < 12; k++) await one.process("logs", `tenant-${k}`, lines(20));
  const state = new Map<string, StateRecord>();
  const all = await keep(state, one.checkpoint());
  expect(all).toBeGreaterThan(24);
  await one.process("logs", "tenant-3", lines(20));

  // The checkpoint stands at its place in the order of calls, although it is read later.
  const checkpoint = one.checkpoint();
  expect(() => one.checkpoint()).toThrow(/read it to its end/);
  const before = Array.from({ length: 5 }, (_, i) => (i === 2 ? strange() : lines(20)));
  const judged = before.map((request) => one.process("logs", "tenant-3", request, { receivedMs: 1000 }));
  const changed = await keep(state, checkpoint);
  expect(changed).toBeLessThan(6);
  expect((await Promise.all(judged)).reduce((sum, each) => sum + each.reports.length, 0)).toBeGreaterThan(0);
  await one.observeTime("tenant-3", 2_000_000_000n * 1_000_000_000n);

  const two = engineOf({ threads: 2 });
  expect(await two.restoreFrom(pieces(state))).toEqual({ kind: "restored" });
  for (const request of before) {
    const silent = await two.process("logs", "tenant-3", request, { receivedMs: 1000, silent: true });
    expect(silent).toMatchObject({ forward: null, records: expect.any(Number), flagged: 0, reports: [] });
    expect(silent).toMatchObject({ evidence: undefined, calls: undefined, notable: [] });
    expect(silent.scores).toHaveLength(4 * silent.records);
  }
  await two.observeTime("tenant-3", 2_000_000_000n * 1_000_000_000n, { silent: true });
  const request = strange();
  const [a, b] = [
    await one.process("logs", "tenant-3", request),
    await two.process("logs", "tenant-3", request),
  ];
  expect(b).toEqual(a);
  expect(await two.snapshot()).toEqual(await one.snapshot());

  // Both go on with what changes.
  expect(await keep(new Map(), two.checkpoint())).toBeLessThan(6);
  await one.close();
  await two.close();
});

test("after a checkpoint that was given up, or was not kept, the next is of everything", async () => {
  const engine = engineOf();
  for (let k = 0; k < 12; k++) await engine.process("logs", `tenant-${k}`, lines(20));
  const all = await keep(new Map(), engine.checkpoint());
  for await (const _ of engine.checkpoint()) break;
  expect(await keep(new Map(), engine.checkpoint())).toBe(all);
  expect(await keep(new Map(), engine.checkpoint())).toBe(1);
  expect(await keep(new Map(), engine.checkpoint({ full: true }))).toBe(all);
  // A snapshot in between counts for nothing.
  await engine.process("logs", "tenant-1", lines(20));
  await engine.snapshot();
  expect(await keep(new Map(), engine.checkpoint())).toBeLessThan(6);
  await engine.close();
});

test("records that are missing, altered or stale are refused, and the engine is as new", async () => {
  const one = engineOf();
  const state = new Map<string, StateRecord>();
  await one.process("logs", "a", lines(20));
  await keep(state, one.checkpoint());
  const stale = [...state].find(([key]) => key.startsWith("73"))!;
  await one.process("logs", "a", lines(20));
  await keep(state, one.checkpoint());
  await one.close();

  const two = engineOf();
  for (const [change, reason] of [
    [(records) => records.delete(stale[0]), "records are missing"],
    [(records) => records.set(...stale), "records are missing, or are of different checkpoints"],
    [(records) => records.clear(), "its head is missing"],
    [
      (records) => records.set(stale[0], { key: stale[1].key, value: Buffer.alloc(100) }),
      "it is damaged, or an engine with other settings wrote it",
    ],
    [(records) => records.set("", { key: Buffer.alloc(3), value: Buffer.alloc(100) }), "damaged"],
  ] as [(records: Map<string, StateRecord>) => unknown, string][]) {
    const records = new Map(state);
    change(records);
    expect(await two.restoreFrom(pieces(records))).toEqual({
      kind: "refused",
      reason: expect.stringContaining(reason),
    });
    expect(two.stats().streams).toBe(0);
  }
  expect(await two.restoreFrom([[...state.values()]])).toEqual({ kind: "restored" });
  await two.close();
});

test("many engines share the threads of one pool, and closing one leaves the others", async () => {
  const pool = new EnginePool(2);
  const shared = () => new Engine({ ...detect, threads: 1 }, { mode: "all", scores: true, pool });
  const engines = Array.from({ length: 64 }, shared);
  const alone = engineOf({ threads: 2 });
  for (let i = 0; i < 6; i++) {
    const request = i === 5 ? strange() : lines(50);
    const expected = await alone.process("logs", "a", request);
    const outcomes = await Promise.all(engines.map((engine) => engine.process("logs", "a", request)));
    for (const outcome of outcomes) expect(outcome).toEqual(expected);
    // One is closed while the others work.
    await Promise.all([engines.pop()!.close(), engines[0]!.process("logs", "b", request)]);
  }
  for (const threads of [0, 65, 1.5]) expect(() => new EnginePool(threads)).toThrow(RangeError);
  const notOurs = { native: {} } as EnginePool;
  expect(() => new Engine(detect, { mode: "all", pool: notOurs })).toThrow(/options.pool must be what/);
  await Promise.all([alone, ...engines].map((engine) => engine.close()));
});
