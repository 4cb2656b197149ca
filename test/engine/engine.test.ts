import { fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { type Config, configSchema } from "../../src/config/schema.ts";
import { Engine, type Judged } from "../../src/engine/index.ts";
import { AnomalySchema, State } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { ExportLogsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import type { Batch } from "../../src/generate/batch.ts";
import { ShopTelemetry } from "../../src/generate/shop-telemetry.ts";
import { native } from "../../src/native.ts";
import { logsRequest, normalLine, random, strangeLine } from "./requests.ts";

const detect = (overrides: object = {}): Config["detect"] =>
  configSchema.parse({ detect: { baseline: { records: 400 }, ...overrides } }).detect;

/** Returns an engine that has learned a service's normal lines. */
async function learned(mode: "all" | "flagged" = "all", overrides: object = {}) {
  const engine = new Engine(detect(overrides), { mode });
  const next = random(1);
  for (let i = 0; i < 5; i++)
    await engine.process("logs", "default", logsRequest(Array.from({ length: 100 }, () => normalLine(next))));
  return { engine, next };
}

const records = (body: Buffer) =>
  fromBinary(ExportLogsServiceRequestSchema, body).resourceLogs.flatMap((r) =>
    r.scopeLogs.flatMap((s) => s.logRecords),
  );

test("an engine that has received nothing has no statistics", async () => {
  const engine = new Engine(detect(), { mode: "all" });
  expect(await engine.statistics(10)).toEqual({ streams: [], left: 0, bytes: Buffer.alloc(0) });
  await engine.close();
});

test("a request without anything strange goes on as the very same Buffer", async () => {
  const { engine, next } = await learned();
  const request = logsRequest(Array.from({ length: 50 }, () => normalLine(next)));
  const judged = await engine.process("logs", "default", request);
  expect(judged).toMatchObject({ records: 50, flagged: 0, reports: [] });
  expect(judged.forward).toBe(request);
  await engine.close();
});

test("what a person accepts is normal from then on, and ends the anomaly", async () => {
  const { engine } = await learned();
  const [report] = (await engine.process("logs", "default", logsRequest([strangeLine()]))).reports;
  const anomaly = report!.message;
  expect(await engine.accept("other", anomaly.id)).toEqual({ found: false, ended: undefined });
  const { found, ended } = await engine.accept("default", anomaly.id);
  expect(found).toBe(true);
  expect(ended!.message).toMatchObject({ id: anomaly.id, state: State.ENDED, stream: anomaly.stream });
  expect(ended!.message.explanation).toContain("accepted as normal");
  expect(await engine.accept("default", anomaly.id)).toEqual({ found: false, ended: undefined });
  expect((await engine.process("logs", "default", logsRequest([strangeLine()]))).flagged).toBe(0);
  await engine.close();
});

test("evidence says where, when and how often something was strange", async () => {
  const { engine, next } = await learned();
  const normal = await engine.process("logs", "default", logsRequest([normalLine(next)]));
  expect(normal).toMatchObject({ evidence: undefined, evidenceLeftOut: 0 });
  const { reports, evidence } = await engine.process(
    "logs",
    "default",
    logsRequest([strangeLine(), strangeLine()]),
  );
  expect(evidence!.evidence).toMatchObject([
    {
      tenant: "default",
      stream: "logs service.name=shop",
      serviceName: "shop",
      flagged: 2,
      withheld: 0,
      anomalyIds: [reports[0]!.message.id],
    },
  ]);
  const [{ tickUnixNano, finding } = {}] = evidence!.evidence;
  expect(tickUnixNano! % 10_000_000_000n).toBe(0n);
  expect(finding).not.toBe(0n);
  const { evidence: later, ...found } = await engine.advance(60_000);
  expect(found).toMatchObject({ reports: [] });
  expect(later).toMatchObject({ evidence: [] });
  expect(later!.ticks.map((tick) => Number(tick.tickUnixNano - tickUnixNano!) / 1e10)).toContain(0);
  await engine.close();
});

test("without service graphs, verdicts are the same, and evidence names neither calls nor changes", async () => {
  const minute = 60_000;
  const shop = new ShopTelemetry({
    seed: "graphs",
    startUnixNano: 1_767_225_600_000_000_000n,
    signals: ["logs", "traces"],
    rate: 40,
    speed: 1,
    duration: 12 * minute,
    recordsPerRequest: 200,
    schedule: [{ name: "latency", start: 10 * minute, end: 12 * minute }],
  });
  const [whole, without] = [true, false].map(
    (serviceGraphs) => new Engine(detect(), { mode: "all", serviceGraphs }),
  );
  let [flagged, ticks] = [0, 0];
  for (const { signal, body } of shop.batches() as Iterable<Batch>) {
    const expected = await whole!.process(signal, "default", body);
    const { evidence, ...found } = await without!.process(signal, "default", body);
    expect(found).toEqual({ ...expected, evidence: undefined });
    expect(evidence?.evidence ?? []).toEqual(expected.evidence?.evidence ?? []);
    expect([...(evidence?.ticks ?? []), ...(evidence?.changes ?? [])]).toEqual([]);
    flagged += expected.flagged;
    ticks += expected.evidence?.ticks.length ?? 0;
  }
  expect(flagged).toBeGreaterThan(0);
  expect(ticks).toBeGreaterThan(0);
  expect(whole!.stats().graphCalls).toBeGreaterThan(0);
  expect(without!.stats()).toMatchObject({ graphPlaces: 0, graphCalls: 0, graphSpans: 0 });
  await Promise.all([whole!.close(), without!.close()]);
});

test("a false alarm raises the stream's limit, in the order of calls", async () => {
  const { engine } = await learned();
  const [report] = (await engine.process("logs", "default", logsRequest([strangeLine()]))).reports;
  const anomaly = report!.message;
  const word = engine.reject("default", anomaly.id);
  const again = engine.process("logs", "default", logsRequest([strangeLine()]));
  expect((await word).ended!.message.explanation).toContain("false alarm");
  expect((await again).flagged).toBe(0);
  await engine.close();
});

test("what is beyond the process's budget is neither flagged nor told, but counted", async () => {
  const { engine, next } = await learned("all", { budget: { per_process_per_day: 1 } });
  for (const service of ["second", "third"]) {
    for (let i = 0; i < 5; i++) {
      const lines = Array.from({ length: 100 }, () => ({ ...normalLine(next), service }));
      await engine.process("logs", "default", logsRequest(lines));
    }
  }
  const request = logsRequest(["shop", "second", "third"].map((service) => ({ ...strangeLine(), service })));
  const judged = await engine.process("logs", "default", request);
  expect(judged.reports.map(({ message }) => message.stream)).toEqual(["logs service.name=shop"]);
  expect(judged.flagged).toBe(1);
  expect(
    records(judged.forward!).map((each) => each.attributes.some(({ key }) => key === "cbad.anomaly")),
  ).toEqual([true, false, false]);
  expect(engine.stats()).toMatchObject({ withheldByStreams: 0, withheldByProcess: 2 });
  await engine.close();
});

test("requests that are given up are told to come again; later ones and snapshots are not concerned", async () => {
  const { engine, next } = await learned("all", { threads: 1 });
  const request = logsRequest(Array.from({ length: 2_000 }, () => normalLine(next)));
  const pending = Array.from({ length: 50 }, () => engine.process("logs", "default", request));
  const snapshot = engine.snapshot();
  engine.cancel();
  const later = engine.process("logs", "default", request);
  const outcomes = await Promise.allSettled(pending);
  expect(outcomes.at(-1)).toMatchObject({
    status: "rejected",
    reason: { code: "ERR_DRIFTLOCK_ENGINE_CANCELLED" },
  });
  expect((await snapshot).length).toBeGreaterThan(0);
  expect((await later).records).toBe(2_000);
  await engine.close();
});

test("a strange record alone is flagged, and says why", async () => {
  const { engine, next } = await learned();
  const lines = Array.from({ length: 20 }, () => normalLine(next));
  lines[7] = strangeLine();
  const request = logsRequest(lines);
  const judged = await engine.process("logs", "default", request);
  expect(judged.flagged).toBe(1);
  expect(judged.reports).toHaveLength(1);
  const { message: anomaly, bytes } = judged.reports[0]!;
  expect(fromBinary(AnomalySchema, bytes)).toEqual(anomaly);
  expect(anomaly).toMatchObject({ tenant: "default", stream: "logs service.name=shop", occurrence: 1n });
  expect(anomaly.score).toBeGreaterThan(anomaly.limit);
  expect(anomaly.pValue).toBeLessThan(0.001);
  const { text, novel } = anomaly.record!;
  const news = novel.map((range) => Buffer.from(text).subarray(range.start, range.end).toString()).join("");
  expect(news).toContain("HikariPool");
  expect(anomaly.explanation).toContain("new to this stream");
  // The nearest is one of the baseline's records as they are shown; a report about no record has none in its
  // explanation.
  const nearest = anomaly.expected!.nearest;
  expect(nearest).not.toBe("");
  expect(text).not.toContain(nearest);
  const baseline = native.decompress("openzl", anomaly.excerpts!.baseline, 2 ** 20).toString();
  expect(baseline.split("\n")).toContain(nearest);
  expect(anomaly.window!.ncd).toBeGreaterThan(0);
  expect(anomaly.window!.entropy).toBeGreaterThan(3);

  const before = records(request);
  const after = records(judged.forward!);
  expect(after).toHaveLength(20);
  for (const [i, record] of after.entries()) {
    if (i !== 7) expect(record).toEqual(before[i]);
  }
  const attributes = Object.fromEntries(
    after[7]!.attributes.map(({ key, value }) => [key, value!.value.value]),
  );
  expect(attributes).toMatchObject({
    "cbad.anomaly": true,
    "cbad.anomaly.id": anomaly.id,
    "cbad.stream": "logs service.name=shop",
    "cbad.channel": "content",
    "cbad.score": anomaly.score,
    "cbad.p_value": anomaly.pValue,
    "cbad.codec": "zstd",
  });
  await engine.close();
});

test("as a tap, flagged records alone go on, or nothing", async () => {
  const { engine, next } = await learned("flagged");
  const lines = Array.from({ length: 20 }, () => normalLine(next));
  expect((await engine.process("logs", "default", logsRequest(lines))).forward).toBeNull();
  lines[3] = strangeLine();
  const judged = await engine.process("logs", "default", logsRequest(lines));
  expect(records(judged.forward!).map((record) => record.body!.value.value)).toEqual([strangeLine().body]);
  await engine.close();
});

test("a storm of one kind is one anomaly, reported at powers of two", async () => {
  const { engine } = await learned();
  const judged = await engine.process(
    "logs",
    "default",
    logsRequest(Array.from({ length: 100 }, () => strangeLine())),
  );
  expect(judged.flagged).toBe(100);
  expect(new Set(judged.reports.map(({ message }) => message.id)).size).toBe(1);
  // A report of news, such as a higher severity, may come at any time.
  const regular = judged.reports.filter(({ message }) => !message.news || message.occurrence === 1n);
  expect(regular.map(({ message }) => Number(message.occurrence))).toEqual([1, 2, 4, 8, 16, 32, 64]);
  await engine.close();
});

test("nothing is flagged before a stream has its limits", async () => {
  const engine = new Engine(detect(), { mode: "all" });
  const judged = await engine.process("logs", "default", logsRequest([strangeLine()]));
  expect(judged).toMatchObject({ records: 1, flagged: 0 });
  expect(engine.stats()).toMatchObject({ streams: 1, learning: 1, pending: 0 });
  await engine.close();
});

test("a malformed request is refused with field and offset, and the engine goes on", async () => {
  const { engine, next } = await learned();
  const request = logsRequest([normalLine(next)]);
  const failure = await engine.process("logs", "default", request.subarray(0, -1)).catch((error) => error);
  expect(failure.code).toBe("ERR_DRIFTLOCK_OTLP_MALFORMED");
  expect(failure.message).toMatch(/malformed logs request: .*at byte \d+/);
  expect((await engine.process("logs", "default", request)).records).toBe(1);
  expect(await engine.process("logs", "default", Buffer.alloc(0))).toMatchObject({ records: 0, flagged: 0 });
  await engine.close();
});

test("verdicts do not depend on the number of threads", async () => {
  const next = random(7);
  const services = Array.from({ length: 12 }, (_, i) => `service-${i}`);
  const requests = Array.from({ length: 120 }, (_, i) =>
    logsRequest(
      Array.from({ length: 60 }, (_, k) => {
        const service = services[Math.floor(next() * services.length)]!;
        return i > 100 && k % 20 === 0 ? strangeLine(service) : normalLine(next, service);
      }),
    ),
  );
  const run = async (threads: number): Promise<Judged[]> => {
    const engine = new Engine(detect({ threads, baseline: { records: 300 } }), { mode: "all", scores: true });
    const judged = await Promise.all(requests.map((request) => engine.process("logs", "default", request)));
    await engine.close();
    return judged;
  };
  const [one, four, eight] = [await run(1), await run(4), await run(8)];
  expect(one.reduce((sum, judged) => sum + judged.flagged, 0)).toBeGreaterThan(10);
  for (const other of [four, eight]) {
    for (const [i, judged] of one.entries()) {
      expect(other[i]!.scores).toEqual(judged.scores);
      expect(other[i]!.reports).toEqual(judged.reports);
      expect(Buffer.compare(other[i]!.forward!, judged.forward!)).toBe(0);
    }
  }
});

test("streams are held up to the limit; the oldest goes first and is counted", async () => {
  const engine = new Engine(detect({ max_streams: 16 }), { mode: "all" });
  const next = random(3);
  for (let i = 0; i < 2_000; i++)
    await engine.process("logs", "default", logsRequest([normalLine(next, `svc-${i}`)]));
  const { streams, evicted } = engine.stats();
  expect(streams).toBeLessThanOrEqual(16 * 5);
  expect(streams + evicted).toBe(2_000);
  await engine.close();
});

test("tenants do not share streams", async () => {
  const { engine } = await learned();
  const judged = await engine.process("logs", "other", logsRequest([strangeLine()]));
  expect(judged.flagged).toBe(0);
  expect(engine.stats().streams).toBe(2);
  await engine.close();
});

test("a closed engine refuses, and closing waits for what is pending", async () => {
  const { engine, next } = await learned();
  const pending = engine.process("logs", "default", logsRequest([normalLine(next)]));
  await engine.close();
  expect((await pending).records).toBe(1);
  await expect(engine.process("logs", "default", Buffer.alloc(0))).rejects.toThrow("closed");
});
