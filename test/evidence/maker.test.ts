import { expect, it } from "vitest";
import { type Bundle, bundleSchema, maxBundleBytes } from "../../src/evidence/bundle.ts";
import { verifyBundle } from "../../src/verify/verify.ts";
import { id, incident, midnight, report } from "../store/fixtures.ts";
import { fill, making } from "./made.ts";

const read = (file: string): Bundle => bundleSchema.parse(JSON.parse(file));

it("makes a bundle of an anomaly that verifies", async () => {
  const made = await making();
  await fill(made);
  const file = await made.make({ anomaly: id(1) });
  const { content } = read(file);
  expect(content.subject).toEqual({ anomalies: [id(1)], incidents: [] });
  const [anomaly] = content.anomalies;
  expect(anomaly!.reports.map(({ roles }) => roles)).toEqual([["first"], ["strongest"], ["latest"]]);
  expect(anomaly!.events.map(({ state, author }) => [state, author])).toEqual([
    ["acknowledged", "bo"],
    ["resolved", "bo"],
  ]);
  expect(content.audit.entries.map(({ entry }) => [entry.seq, entry.action])).toEqual([
    [1, "anomaly.acknowledged"],
    [3, "anomaly.resolved"],
    [4, "incident.resolved"],
  ]);
  expect(content.seeds).toEqual([42]);
  const verdict = await verifyBundle(file, { keys: await made.keys.list() });
  expect(verdict.checks.filter(({ ok }) => ok === false)).toEqual([]);
  expect(Object.fromEntries(verdict.checks.map(({ name, ok }) => [name, ok]))).toEqual({
    layout: true,
    signature: true,
    key: true,
    digest: true,
    statement: true,
    settings: true,
    reports: true,
    chain: true,
    proofs: true,
    checkpoint: true,
    retention: true,
    time: true,
    timestamp: null,
    recordings: null,
  });
});

it("makes a bundle of an incident with all of its anomalies that are stored", async () => {
  const made = await making();
  await fill(made);
  await made.make({ anomaly: id(1) });
  const { content } = read(await made.make({ incident: id(1) }));
  expect(content.subject).toEqual({ anomalies: [], incidents: [id(1)] });
  expect(content.incidents[0]).toMatchObject({ id: id(1), events: [{ state: "resolved", author: "cy" }] });
  expect(content.anomalies.map((anomaly) => anomaly.id)).toEqual([id(11)]);
  expect(content.left_out).toEqual([{ anomaly: id(12), reason: "It is no longer stored." }]);
  // The first bundle's own entry is about that bundle, and the log has grown by it.
  expect(content.audit.previous).not.toBeNull();
  const [stored] = (await made.store.evidence.list("acme")).items;
  expect(stored).toMatchObject({ incidentId: id(1), author: "ann" });
});

it("makes none of what does not exist, and none beyond their size", async () => {
  const made = await making({ max_size: 1 });
  await fill(made);
  expect(await made.queue.create("acme", { anomaly: id(99) }, "ann")).toBeUndefined();
  expect(await made.queue.create("acme", { incident: id(99) }, "ann")).toBeUndefined();
  expect(await made.queue.create("other", { anomaly: id(1) }, "ann")).toBeUndefined();
  await made.make({ anomaly: id(1) });
  await expect(made.queue.create("acme", { anomaly: id(1) }, "ann")).rejects.toThrow("evidence.max_size");
});

it("leaves out of an incident what has no room, and refuses an anomaly that has none", async () => {
  const made = await making();
  const text = "x".repeat(3 * 2 ** 20);
  const ids = Array.from({ length: 12 }, (_, n) => id(20 + n));
  const record = { text, novel: [], index: 0 };
  await made.store.anomalies.record(ids.map((each) => report({ id: each, record })));
  const [member] = incident().members;
  await made.store.incidents.record({
    incidents: [incident({ members: [{ ...member!, anomalyIds: ids }] })],
    changes: [],
  });
  const file = await made.make({ incident: id(1) });
  expect(file.length).toBeLessThan(maxBundleBytes);
  const { content } = read(file);
  const contained = content.anomalies.map((anomaly) => anomaly.id);
  expect(contained.length).toBeGreaterThan(3);
  expect(content.left_out).toEqual(
    ids
      .slice(contained.length)
      .map((each) => ({ anomaly: each, reason: "The bundle has no room for more." })),
  );
  expect(content.left_out.length).toBeGreaterThan(1);
  const large = { id: id(50), record: { ...record, text: text.repeat(8) } };
  await made.store.anomalies.record([report(large)]);
  await expect(made.make({ anomaly: id(50) })).rejects.toThrow("more than 64 MiB, which none may have");
  expect((await made.store.evidence.list("acme")).items).toHaveLength(1);
});

it("proves what the retention has deleted", async () => {
  const made = await making({}, {}, { store: { retention: { max_size: 1 } } });
  await fill(made);
  await made.make({ anomaly: id(1) });
  await made.store.anomalies.record([report({ id: id(30), startTimeUnixNano: midnight + 9n })]);
  expect(await made.store.retention.run()).toMatchObject({ anomalies: 2 });
  const file = await made.make({ anomaly: id(1) });
  const { content } = read(file);
  expect(content.retention.deletions).toBe(1);
  const entry = content.audit.entries.find((each) => each.entry.action === "retention.deleted")!.entry;
  expect(entry).toMatchObject({ actor: "driftlock", detail: { kind: "anomalies", count: 2 } });
  const { ok, checks } = await verifyBundle(file);
  expect(ok).toBe(true);
  expect(checks.find(({ name }) => name === "retention")!.details[0]).toMatch(
    /^The audit log has 6 entries since .*Z\. The retention has deleted 2 anomalies; the oldest anomaly that is kept is of /,
  );
});

it("says what is missing although nothing has deleted it", async () => {
  const made = await making();
  await fill(made);
  const detail = { day: "2026-01-31", anomalies: 7 };
  await made.store.audit.append("acme", {
    actor: "driftlock",
    action: "retention.counted",
    target: "kept",
    detail,
  });
  const file = await made.make({ anomaly: id(1) });
  const { checks } = await verifyBundle(file);
  expect(checks.find(({ name }) => name === "retention")).toMatchObject({
    ok: false,
    details: [
      "7 anomalies stored on 2026-01-31: missing, although no entry says that the retention has deleted so many.",
    ],
  });
});

it("makes many at once, each proven to follow the one before", async () => {
  const made = await making();
  await fill(made);
  const files = await Promise.all(Array.from({ length: 5 }, () => made.make({ anomaly: id(1) })));
  const sizes = files.map((file) => Number(read(file).content.audit.checkpoint.split("\n")[1]));
  expect(new Set(sizes).size).toBe(5);
  for (const file of files) expect(await verifyBundle(file)).toMatchObject({ ok: true });
  expect(files.filter((file) => read(file).content.audit.previous === null)).toHaveLength(1);
  expect(await made.keys.list()).toHaveLength(1);
});

it("refuses to prove a log that was altered", async () => {
  const made = await making();
  await fill(made);
  await made.make({ anomaly: id(1) });
  const { DatabaseSync } = await import("node:sqlite");
  const db = new DatabaseSync(`${made.config.data_dir}/driftlock.db`);
  db.exec("update audit_log set entry = replace(entry, 'looking', 'missing') where seq = 1");
  db.close();
  await expect(made.make({ anomaly: id(1) })).rejects.toThrow("the audit log of tenant acme was altered");
});
