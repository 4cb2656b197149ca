/** What workers found is stored once, whatever happens in between, and forms the incidents that it forms in one process. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Engine } from "../../src/engine/index.ts";
import type { Incident } from "../../src/gen/driftlock/v1/incidents_pb.js";
import { IncidentFormer } from "../../src/incidents/former.ts";
import { type Config, parseConfig } from "../../src/index.ts";
import type { Finding } from "../../src/kafka/index.ts";
import { WithheldAlarms } from "../../src/sidecar/installation-budget.ts";
import { Rules } from "../../src/sidecar/rules.ts";
import { FindingsKeeper, FormedIncidents, StatisticsKeeper } from "../../src/sidecar/sink.ts";
import { openStore, PositionMoved, type Store } from "../../src/store/index.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { versions } from "../../src/version.ts";
import { logsRequest, normalLine, random, strangeLine } from "../engine/requests.ts";
import { calls, evidence, operation, page, tenant, tick } from "../incidents/pages.ts";

let folder: string;
let config: Config;
let store: Store;
let rules: Rules;
const log = createLogger({ ...parseConfig({}).telemetry, log_level: "silent" });
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-sink-"));
  const incidents = { budget: { per_tenant_per_day: 100 } };
  config = parseConfig({ data_dir: folder, detect: { baseline: { records: 128 } }, incidents });
  store = await openStore(config, { log, versions: versions({}) });
  rules = await Rules.start({ store, engine: undefined, silences: [], log });
});
afterEach(async () => {
  rules.close();
  await store.close();
  rmSync(folder, { recursive: true });
});

/** Returns what an engine finds in some minutes, of which one is strange, by request. */
async function findings(): Promise<Finding[][]> {
  const { budget } = config.detect;
  const detect = { ...config.detect, budget: { ...budget, per_tenant_per_day: 0, per_process_per_day: 0 } };
  const engine = new Engine(detect, { mode: "all", recordings: true });
  const next = random(5);
  const found: Finding[][] = [];
  for (let round = 0; round < 30; round += 1) {
    const strange = round > 14 && round < 19;
    const second = 1_790_000_000n + BigInt(5 * round);
    const lines = ["a", "b", "c"].flatMap((service) => [
      ...Array.from({ length: 20 }, () => normalLine(next, service)),
      ...(strange ? [strangeLine(service)] : []),
    ]);
    const timed = lines.map((line, n) => ({ ...line, time: second * 1_000_000_000n + BigInt(n) }));
    const { reports, evidence } = await engine.process("logs", "acme", logsRequest(timed));
    found.push([
      ...reports.map((report) => ({ kind: "anomaly" as const, report })),
      ...(evidence ? [{ kind: "evidence" as const, page: evidence }] : []),
    ]);
  }
  await engine.close();
  return found;
}

const place = { topic: "anomalies", partition: 3 };

async function keeper() {
  const parts = { config, store, rules, sinks: [], notifiers: [], onSilenced() {}, log };
  const counted = { withheld: new WithheldAlarms(), incidents: new FormedIncidents() };
  const made = new FindingsKeeper({ ...parts, ...counted }, place);
  return { keeper: made, from: Number((await made.open()) ?? 0n) };
}

test("incidents and anomalies are as in one process, although whoever stores them is replaced again and again", async () => {
  const all = await findings();
  const former = new IncidentFormer({
    perTenantPerDay: config.incidents.budget.per_tenant_per_day,
    seed: BigInt(config.detect.seed),
  });
  const expected = new Map<string, Incident>();
  const anomalies = new Set<string>();
  for (const found of all.flat()) {
    if (found.kind === "anomaly") anomalies.add(found.report.message.id);
    if (found.kind === "evidence") for (const each of former.add(found.page)) expected.set(each.id, each);
  }
  expect(expected.size).toBeGreaterThan(0);

  let from = 0;
  // Each goes on from what is saved, does a part, and is gone without a word; only every third saves in an orderly way.
  for (let part = 0; from < all.length; part += 1) {
    const { keeper: current, from: at } = await keeper();
    expect(at).toBeLessThanOrEqual(from);
    from = Math.min(all.length, from + 4);
    for (let i = at; i < from; i += 1) await current.keep(all[i]!, BigInt(i + 1));
    if (part % 3 === 2 || from === all.length) await current.close();
  }
  const { items } = await store.incidents.list("acme");
  expect(new Set(items.map(({ message }) => message.id))).toEqual(new Set(expected.keys()));
  for (const { id, sentence } of expected.values()) {
    expect((await store.incidents.get("acme", id))!.message.sentence).toBe(sentence);
  }
  const stored = await store.anomalies.list("acme", {}, { limit: 100 });
  expect(new Set(stored.items.map(({ id }) => id))).toEqual(anomalies);
});

test("a budget of one incident per tenant gives one, although whoever forms them is replaced each time", async () => {
  config = { ...config, incidents: { ...config.incidents, budget: { per_tenant_per_day: 1 } } };
  const quiet = Array.from({ length: 17_280 }, (_, i) => tick(i - 17_280, [operation("mail", 1, 1)], calls));
  const faults = ["a", "b", "c"].map((service, i) => [evidence(i + 1, service, { margin: 2 ** 60 })]);
  const pages = [page({ ticks: quiet }), ...faults.map((each) => page({ evidence: each }))];
  for (const [offset, each] of pages.entries()) {
    const { keeper: current, from } = await keeper();
    expect(from).toBe(offset);
    await current.keep([{ kind: "evidence", page: each }], BigInt(offset + 1));
    await current.close();
  }
  const { items } = await store.incidents.list(tenant);
  expect(items.map(({ message }) => message.services)).toEqual([["c"], ["b"], ["a"]]);
  expect(items.map(({ message }) => message.minor)).toEqual([true, true, false]);
});

test("who was replaced changes nothing any more", async () => {
  const statistics = {
    tenant: "acme",
    key: "logs service.name=a",
    signal: 0,
    service: "a",
    state: "watching" as const,
    progress: 1,
    firstSeen: 1n,
    lastSeen: 2n,
    baselineAt: 1n,
    records: 10n,
    flagged: 0n,
    withheld: 0n,
    score: 0,
    channel: 0,
    pValue: 1,
    channelScore: 0,
    limit: 0,
  };
  const page: Finding[] = [{ kind: "statistics", streams: [statistics] }];
  const [one, two] = [new StatisticsKeeper(store, place), new StatisticsKeeper(store, place)];
  expect(await one.open()).toBeUndefined();
  await one.keep(page, 5n);
  expect(await two.open()).toBe(5n);
  await two.keep(page, 8n);
  await expect(one.keep(page, 9n)).rejects.toThrow(PositionMoved);
  const fresh = new StatisticsKeeper(store, place);
  expect(await fresh.open()).toBe(8n);
  expect((await store.streams.list("acme")).items.map(({ records }) => Number(records))).toEqual([20]);
});
