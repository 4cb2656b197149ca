/** From the engine through the store into a bundle, whose verdicts are computed again. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { sha256 } from "../../src/base/sha256.ts";
import type { Bundle, BundleAnomaly } from "../../src/evidence/bundle.ts";
import { seal } from "../../src/evidence/seal.ts";
import { RecordingSchema } from "../../src/gen/driftlock/v1/recording_pb.js";
import { Engine, parseConfig, recompute } from "../../src/index.ts";
import { type Check, type VerifyOptions, verifyBundle } from "../../src/verify/verify.ts";
import { RecomputeError } from "../../src/verify/wasm.ts";
import { reportsOfShop } from "../engine/first-reports.ts";
import { otlpSets } from "../golden/otlp-sets.ts";
import { calls, evidence, experienced, operation, page, tick } from "../incidents/pages.ts";
import { type Making, making } from "./made.ts";

const { detect } = parseConfig({
  detect: { threads: 2, budget: { per_stream_per_day: 20 }, window: { records: 64, hop: 32 } },
});

const recordingsOf = async (file: string, options: VerifyOptions): Promise<Check> => {
  const { checks } = await verifyBundle(file, options);
  return checks.find(({ name }) => name === "recordings")!;
};

/** A store with the anomalies of some logs, and their IDs. */
async function recorded(): Promise<{ made: Making; ids: string[] }> {
  const made = await making();
  const set = (await otlpSets()).find(({ name }) => name === "shop-logs")!;
  const engine = new Engine(detect, { mode: "all", recordings: true });
  for (const request of set.requests) {
    const { reports } = await engine.process(set.signal, "acme", request);
    for (const report of reports) made.store.writer.offer(report);
  }
  await engine.close();
  await made.store.writer.flush();
  const { items } = await made.store.anomalies.list("acme");
  return { made, ids: items.map(({ id }) => id) };
}

it("computes verdicts again, and names each figure that differs", async () => {
  const { made, ids } = await recorded();
  expect(ids.length).toBeGreaterThan(0);
  let computed = 0;
  for (const id of ids.slice(0, 3)) {
    const file = await made.make({ anomaly: id });
    const { content } = JSON.parse(file) as Bundle;
    const { recording } = content.anomalies[0]!;
    const verdict = await verifyBundle(file, { recompute });
    expect(verdict.checks.filter(({ ok }) => ok === false)).toEqual([]);
    if (!recording.kept) continue;
    computed += 1;
    expect(verdict.checks.at(-1)).toMatchObject({
      ok: true,
      details: expect.arrayContaining([
        "1 of 1 verdict was computed again, with the same figures and sentences.",
      ]),
    });
    // Whoever cannot compute it finds no fault.
    const unable = new RecomputeError("a codec is missing", "ERR_DRIFTLOCK_NEEDS_ADDON");
    const without = await verifyBundle(file, { recompute: () => Promise.reject(unable) });
    expect(without).toMatchObject({ ok: true });
    expect(without.checks.at(-1)).toMatchObject({
      ok: null,
      details: [`Anomaly ${id} cannot be computed again: a codec is missing.`],
    });
    // Whoever has the key can sign what is not so. The engine does not confirm it.
    const first = content.anomalies[0]!.reports[0]!;
    first.report.score = first.report.score! + 1;
    first.report.explanation += " This is invented.";
    const signed = await verifyBundle(await seal(content, await made.keys.current()), { recompute });
    const failed = signed.checks.filter(({ ok }) => ok === false);
    expect(failed.map(({ name }) => name)).toEqual(["reports", "recordings"]);
    expect(failed[1]!.details).toEqual([
      expect.stringMatching(/differs in explanation: ".* This is invented\." is stored, "/),
      expect.stringMatching(/differs in score: [\d.]+ is stored, [\d.]+ is computed/),
    ]);
    // The version that recorded is asked, if there is another.
    const later = { recompute, version: "9.9.9" };
    const asked = await recordingsOf(await seal(content, await made.keys.current()), later);
    expect(asked.ok).toBe(null);
    expect(asked.details.join()).toMatch(/only version \d\S+ can tell whether the report is right/);
  }
  expect(computed).toBeGreaterThan(0);
});

it("computes later reports again that show something new", async () => {
  const made = await making();
  for (const report of await reportsOfShop()) made.store.writer.offer(report);
  await made.store.writer.flush();
  const { items } = await made.store.anomalies.list("default", {}, { limit: 200 });
  let content: Bundle["content"] | undefined;
  for (const { id } of items) {
    const { id: bundle } = (await made.queue.create("default", { anomaly: id }, "ann"))!;
    const file = Buffer.from((await made.store.evidence.bytes("default", bundle))!).toString();
    const found = (JSON.parse(file) as Bundle).content;
    if (!found.anomalies[0]!.reports.some(({ recording }) => recording?.kept)) continue;
    content = found;
    break;
  }
  const sign = async () => recordingsOf(await seal(content!, await made.keys.current()), { recompute });
  const { ok, details } = await sign();
  expect([ok, details.join("\n")]).toEqual([
    true,
    expect.stringMatching(
      /^[1-9]\d* of \d+ reports? after the first of an anomaly (was|were) computed again/m,
    ),
  ]);
  const later = content!.anomalies[0]!.reports.find(({ recording }) => recording?.kept)!;
  later.report.explanation = "This is invented.";
  const altered = await sign();
  expect(altered.ok).toBe(false);
  expect(altered.details.join()).toMatch(/Report \d+ of anomaly \w+, computed again, differs in explanation/);
}, 60_000);

it("computes the measures of the window and its texts again", async () => {
  const { made, ids } = await recorded();
  const sign = async (change: (anomaly: BundleAnomaly) => void) => {
    const { content } = JSON.parse(await made.make({ anomaly: ids[0]! })) as Bundle;
    change(content.anomalies[0]!);
    return recordingsOf(await seal(content, await made.keys.current()), { recompute });
  };
  expect(await sign(() => {})).toMatchObject({ ok: true });
  const measures = [
    "compression_ratio",
    "delta_bits",
    "entropy",
    "ncd",
    "ncd_size_matched",
    "p_value",
  ] as const;
  for (const name of measures) {
    const { ok, details } = await sign(({ reports }) => {
      reports[0]!.report.window![name]! += 0.25;
    });
    expect([ok, details[0]]).toEqual([false, expect.stringContaining(`differs in window.${name}: `)]);
  }
  const texts = await sign(({ excerpts }) => {
    excerpts!.window += "and more";
  });
  expect(texts).toMatchObject({
    ok: false,
    details: [expect.stringContaining("differs in excerpts.window")],
  });
});

it("names the version that reads a recording of another format", async () => {
  const { made, ids } = await recorded();
  const { content } = JSON.parse(await made.make({ anomaly: ids[0]! })) as Bundle;
  const anomaly = content.anomalies[0]!;
  if (!anomaly.recording.kept) throw new Error("it has no recording");
  const recording = fromBinary(RecordingSchema, Buffer.from(anomaly.recording.data, "base64"));
  const other = toBinary(RecordingSchema, { ...recording, format: 99, version: "7.0.0" });
  anomaly.recording = { kept: true, data: Buffer.from(other).toString("base64"), sha256: sha256(other) };
  const { ok, details } = await recordingsOf(await seal(content, await made.keys.current()), { recompute });
  expect([ok, details.join()]).toEqual([null, expect.stringContaining("has format 99")]);
  expect(details.join()).toContain("use driftlock-verify of version 7.0.0, which made it");
});

it("forms an incident again, and names what differs", async () => {
  const made = await making();
  const former = experienced();
  const slow = (number: number) =>
    tick(number, [operation("orders", 9, 1), operation("db", 40, 1, { host: "" })], calls);
  const shown = [evidence(1, "orders"), evidence(1, "web")];
  const formed = [
    ...former.add(page({ evidence: shown, ticks: [slow(1)] })),
    ...former.add(page({ evidence: [evidence(2, "search")], ticks: [slow(2)] })),
  ];
  for (const incident of formed) await made.store.incidents.record({ incidents: [incident], changes: [] });
  const { id } = formed.at(-1)!;
  const { id: bundle } = (await made.queue.create("default", { incident: id }, "ann"))!;
  const file = Buffer.from((await made.store.evidence.bytes("default", bundle))!).toString();
  const incidents = (checks: Check[]) => checks.find(({ name }) => name === "incidents")!;
  expect(incidents((await verifyBundle(file)).checks)).toEqual({
    name: "incidents",
    ok: true,
    details: ["1 incident was formed again, with the same evidence, joins, size, score and ranking."],
  });
  const sign = async (change: (incident: Bundle["content"]["incidents"][number]) => void) => {
    const { content } = JSON.parse(file) as Bundle;
    change(content.incidents[0]!);
    const { checks } = await verifyBundle(await seal(content, await made.keys.current()));
    return incidents(checks);
  };
  const changes: [string, Parameters<typeof sign>[0]][] = [
    ["score", (incident) => Object.assign(incident, { score: incident.score! + 0.001 })],
    ["sentence", (incident) => Object.assign(incident, { sentence: "Nothing happened" })],
    ["services.0", ({ services }) => services.reverse()],
    ["ranking.0.service", ({ ranking }) => ranking.reverse()],
    ["ranking.0.seconds", ({ ranking }) => Object.assign(ranking[0]!, { seconds: 1 })],
    ["ranking.0.reasons.0", ({ ranking }) => ranking[0]!.reasons.reverse()],
    ["evidence.1.join", ({ evidence: [, second] }) => Object.assign(second!, { join: "trace" })],
    ["evidence.0.flagged", ({ evidence: [first] }) => Object.assign(first!, { flagged: 99 })],
    ["graph.0.now.seconds", ({ graph }) => Object.assign(graph[0]!.now, { seconds: 1 })],
    ["members", (incident) => Object.assign(incident, { members: 1 })],
    ["fingerprint", (incident) => Object.assign(incident, { fingerprint: "0" })],
  ];
  for (const [name, change] of changes) {
    const { ok, details } = await sign(change);
    expect([ok, details.join("\n")]).toEqual([false, expect.stringContaining(`It differs in ${name}: `)]);
  }
  await made.store.incidents.record({
    incidents: [{ ...formed.at(-1)!, revision: 99, basis: new Uint8Array() }],
    changes: [],
  });
  const { id: later } = (await made.queue.create("default", { incident: id }, "ann"))!;
  const without = Buffer.from((await made.store.evidence.bytes("default", later))!).toString();
  const { ok, details } = incidents((await verifyBundle(without)).checks);
  expect([ok, details.join()]).toEqual([null, expect.stringContaining("was not kept")]);
});
