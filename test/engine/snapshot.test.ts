import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Config, configSchema } from "../../src/config/schema.ts";
import { Engine, SnapshotFile } from "../../src/engine/index.ts";
import { logsRequest, normalLine, random, strangeLine } from "./requests.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "driftlock-snapshot-"));
});
afterEach(() => rm(directory, { recursive: true }));

const configOf = (overrides: object = {}): Config =>
  configSchema.parse({ data_dir: directory, detect: { baseline: { records: 200 }, ...overrides } });
const engineOf = (config: Config) => new Engine(config.detect, { mode: "all", scores: true });

async function teach(engine: Engine, requests = 6) {
  const next = random(3);
  for (let i = 0; i < requests; i++) {
    await engine.process("logs", "default", logsRequest(Array.from({ length: 100 }, () => normalLine(next))));
  }
}

test("a restarted engine goes on with the same verdicts, to the last bit", async () => {
  const config = configOf();
  const before = engineOf(config);
  await teach(before);
  const file = new SnapshotFile(config);
  await file.save(before);
  const after = engineOf(config);
  expect(await file.load(after)).toMatchObject({ kind: "restored" });
  expect(after.stats()).toMatchObject({ streams: 1, learning: 0 });

  const next = random(4);
  for (let i = 0; i < 5; i++) {
    const lines = Array.from({ length: 40 }, () => normalLine(next));
    lines[9] = strangeLine();
    const request = logsRequest(lines);
    const [one, two] = await Promise.all([
      before.process("logs", "default", request),
      after.process("logs", "default", Buffer.from(request)),
    ]);
    expect(two).toEqual(one);
    if (i === 0) expect(one.flagged).toBe(1);
  }
  expect(await after.snapshot()).toEqual(await before.snapshot());
  await before.close();
  await after.close();
});

test("a snapshot stands between the requests before it and those after it", async () => {
  const config = configOf({ threads: 2 });
  const engine = engineOf(config);
  const next = random(5);
  const request = () => logsRequest(Array.from({ length: 50 }, () => normalLine(next)));
  const first = engine.process("logs", "default", request());
  const early = engine.snapshot();
  const second = engine.process("logs", "default", request());
  const late = engine.snapshot();
  await Promise.all([first, second]);
  expect(await early).not.toEqual(await late);
  expect(await engine.snapshot()).toEqual(await late);
  await engine.close();
});

test("an engine that has judged takes no snapshot over", async () => {
  const engine = engineOf(configOf());
  const snapshot = await engine.snapshot();
  await expect(engine.restore(snapshot)).rejects.toThrow(/before the engine's first request/);
  await engine.close();
  const other = engineOf(configOf());
  expect(await other.restore(Buffer.from("nothing of the kind"))).toBe(false);
  expect(await other.restore(snapshot)).toBe(true);
  await other.close();
});

test("what settings changed is said, and streams learn anew", async () => {
  const saved = configOf();
  const engine = engineOf(saved);
  await teach(engine);
  await new SnapshotFile(saved).save(engine);
  await engine.close();
  for (const [overrides, said] of [
    [{ seed: 7 }, "detect.seed was 42 and is 7"],
    [{ stream_by: ["service.name", "host.name"] }, 'detect.stream_by was ["service.name"] and is'],
    [{ baseline: { records: 300 } }, "detect.baseline.records was 200 and is 300"],
    [
      { baseline: { records: 200, dictionary_size: "8KiB" } },
      "detect.baseline.dictionary_size was 24576 and is 8192",
    ],
  ] as const) {
    const config = configOf(overrides);
    const fresh = engineOf(config);
    const loaded = await new SnapshotFile(config).load(fresh);
    expect(loaded).toMatchObject({ kind: "refused", reason: expect.stringContaining(said) });
    expect(fresh.stats().streams).toBe(0);
    await fresh.close();
  }
  // Settings that only affect how much to alarm may change.
  const config = configOf({ budget: { per_stream_per_day: 5 }, codec: "lz4", permutations: 9 });
  const fresh = engineOf(config);
  expect(await new SnapshotFile(config).load(fresh)).toMatchObject({ kind: "restored" });
  await fresh.close();
});

test("no file, a damaged one and a foreign one start anew, and never fail the start", async () => {
  const config = configOf();
  const file = new SnapshotFile(config);
  const engine = engineOf(config);
  expect(await file.load(engine)).toEqual({ kind: "none" });
  await teach(engine, 1);
  await file.save(engine);
  await engine.close();
  expect((await stat(file.path)).mode & 0o777).toBe(0o600);

  const good = await readFile(file.path);
  const flipped = Buffer.from(good);
  flipped[flipped.length - 5]! ^= 1;
  const ofFormat = (format: number) =>
    Buffer.from(good.toString("latin1").replace(/"format":\d+/, `"format":${format}`), "latin1");
  for (const [bytes, reason] of [
    [flipped, "damaged"],
    [good.subarray(0, good.length - 1), "damaged"],
    [ofFormat(99), "a newer version of Driftlock wrote it: its format is 99"],
    [ofFormat(5), `an older version of Driftlock wrote it: its format is 5`],
    [Buffer.alloc(0), "not an engine's snapshot"],
    [Buffer.from("null\n"), "not an engine's snapshot"],
    [Buffer.alloc(100_000, 0x7b), "not an engine's snapshot"],
  ] as const) {
    await writeFile(file.path, bytes);
    const fresh = engineOf(config);
    expect(await file.load(fresh)).toMatchObject({
      kind: "refused",
      reason: expect.stringContaining(reason),
    });
    expect(fresh.stats().streams).toBe(0);
    await fresh.close();
  }
});
