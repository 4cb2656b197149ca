/** Incidents and changes: what is stored of them, what people decide, and what retention leaves. */
import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { Severity } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { ChangeSchema, IncidentState } from "../../src/gen/driftlock/v1/incidents_pb.js";
import { IncidentWriter } from "../../src/store/incidents/writer.ts";
import type { IncidentFilter, Store } from "../../src/store/index.ts";
import { fresh, onEachDatabase } from "./databases.ts";
import { id, incident, midnight, report, silent } from "./fixtures.ts";

const minute = 60_000_000_000n;
const changes = [] as const;

const store1 = (store: Store, ...incidents: ReturnType<typeof incident>[]) =>
  store.incidents.record({ incidents, changes });

onEachDatabase((databases) => {
  it("keeps the latest revision of an incident, and the anomalies of all", async () => {
    const { store } = await fresh(databases);
    await store1(store, incident());
    const grown = incident({
      revision: 2,
      services: ["cart", "payment"],
      endTimeUnixNano: midnight + minute,
      members: [{ stream: "logs service.name=cart", serviceName: "cart", anomalyIds: [id(13)] }],
    });
    const [stored] = await store1(store, grown);
    expect(stored).toMatchObject({ state: "open", members: 1 });
    const found = (await store.incidents.get("acme", id(1)))!;
    expect(found.message).toMatchObject({ revision: 2, services: ["cart", "payment"] });
    expect(found.message.members).toHaveLength(1);
    expect(found.anomalyIds).toEqual([id(11), id(12), id(13)]);
    const list = async (filter: IncidentFilter) => (await store.incidents.list("acme", filter)).items.length;
    expect(await list({ service: "cart" })).toBe(1);
    expect(await list({ service: "checkout" })).toBe(0);
    expect(await store.incidents.get("other", id(1))).toBeUndefined();
    expect((await store.incidents.list("other")).items).toEqual([]);
  });

  it("narrows by each filter, and pages by the start", async () => {
    const { store } = await fresh(databases);
    await store1(
      store,
      incident({ id: id(1) }),
      incident({ id: id(2), startTimeUnixNano: midnight + minute, severity: Severity.LOW, minor: true }),
      incident({ id: id(3), startTimeUnixNano: midnight + 2n * minute, state: IncidentState.ENDED }),
    );
    const found = async (filter: IncidentFilter) =>
      (await store.incidents.list("acme", filter)).items.map(({ message }) =>
        Number.parseInt(message.id, 16),
      );
    expect(await found({})).toEqual([3, 2, 1]);
    expect(await found({ state: ["open"] })).toEqual([2, 1]);
    expect(await found({ severity: [Severity.HIGH] })).toEqual([3, 1]);
    expect(await found({ minor: false })).toEqual([3, 1]);
    expect(await found({ minor: true })).toEqual([2]);
    expect(await found({ from: midnight + minute, until: midnight + 2n * minute })).toEqual([2]);
    const first = await store.incidents.list("acme", {}, { limit: 2 });
    const second = await store.incidents.list("acme", {}, { limit: 2, after: first.next! });
    expect(second.items.map(({ message }) => message.id)).toEqual([id(1)]);
    expect(second.next).toBeUndefined();
  });

  it("shows the incident of an anomaly, and after a merge the one that it became", async () => {
    const { store } = await fresh(databases);
    await store.anomalies.record([report({ id: id(11) }), report({ id: id(99) })]);
    await store1(store, incident({ id: id(1) }));
    const incidentOf = async (anomaly: string) => (await store.anomalies.get("acme", anomaly))!.incident;
    expect(await incidentOf(id(11))).toBe(id(1));
    expect(await incidentOf(id(99))).toBeUndefined();
    // 1 becomes part of 2, and 2 of 3.
    const merged = { revision: 2, state: IncidentState.MERGED };
    await store1(store, incident({ id: id(2) }), incident({ ...merged, id: id(1), mergedInto: id(2) }));
    expect(await incidentOf(id(11))).toBe(id(2));
    await store1(store, incident({ id: id(3) }), incident({ ...merged, id: id(2), mergedInto: id(3) }));
    const { items } = await store.anomalies.list("acme");
    expect(items.find((item) => item.id === id(11))!.incident).toBe(id(3));
    const first = (await store.incidents.get("acme", id(1)))!;
    expect(first).toMatchObject({ state: "merged", message: { mergedInto: id(3) } });
  });

  it("keeps what people decide beside what is formed, and in the audit log", async () => {
    const { store } = await fresh(databases);
    await store1(store, incident());
    const judged = await store.incidents.patch("acme", id(1), {
      state: "acknowledged",
      author: "ann",
      note: "looking",
    });
    expect(judged!.state).toBe("acknowledged");
    // A later revision does not undo it.
    await store1(store, incident({ revision: 2, state: IncidentState.ENDED }));
    expect((await store.incidents.get("acme", id(1)))!.state).toBe("acknowledged");
    const until = store.incidents.now() + 3_600_000;
    await store.incidents.patch("acme", id(1), { state: "expected", until, author: "bob" });
    expect(await store.incidents.expectations()).toMatchObject([{ incident: { id: id(1) }, until }]);
    const withdrawn = await store.incidents.patch("acme", id(1), { state: "withdrawn", author: "ann" });
    expect(withdrawn).toMatchObject({ state: "ended", expectedUntil: undefined });
    expect(withdrawn!.events).toMatchObject([
      { state: "acknowledged", author: "ann", note: "looking", until: undefined },
      { state: "expected", author: "bob", until },
      { state: "withdrawn", author: "ann" },
    ]);
    expect(await store.incidents.expectations()).toEqual([]);
    const { items } = await store.audit.list("acme");
    expect(items.map(({ action }) => action)).toEqual([
      "incident.withdrawn",
      "incident.expected",
      "incident.acknowledged",
    ]);
    expect(await store.audit.verify("acme")).toMatchObject({ ok: true, entries: 3 });
  });

  it("refuses an expectation without an end in time, and decides nothing about what is not there", async () => {
    const { store } = await fresh(databases);
    await store1(store, incident());
    const expectUntil = (until: number) =>
      store.incidents.patch("acme", id(1), { state: "expected", until, author: "ann" });
    await expect(expectUntil(store.incidents.now() - 1)).rejects.toThrow("until: must be in the future");
    await expect(expectUntil(Number.NaN)).rejects.toThrow("until: must be in the future");
    await expect(expectUntil(store.incidents.now() + 400 * 86_400_000)).rejects.toThrow("within a year");
    const patch = { state: "false", author: "ann" } as const;
    expect(await store.incidents.patch("acme", id(2), patch)).toBeUndefined();
    expect(await store.incidents.patch("other", id(1), patch)).toBeUndefined();
    expect((await store.audit.list("other")).items).toEqual([]);
  });

  it("keeps the first change of an id, and lists changes by time", async () => {
    const { store } = await fresh(databases);
    const change = { service: "payment", link: "", attribute: "", value: "", previous: "" };
    const first = await store.changes.post("acme", {
      ...change,
      id: "deploy-1",
      time: midnight,
      title: "1.9.0",
    });
    expect(first.isNew).toBe(true);
    const again = await store.changes.post("acme", { ...change, id: "deploy-1", time: 1n, title: "other" });
    expect(again).toMatchObject({ isNew: false, change: { title: "1.9.0", timeUnixNano: midnight } });
    const seen = create(ChangeSchema, {
      id: "seen",
      tenant: "acme",
      timeUnixNano: midnight + 1n,
      serviceName: "cart",
      attribute: "service.version",
      value: "2",
    });
    await store.incidents.record({ incidents: [], changes: [seen] });
    const listed = async (filter = {}) =>
      (await store.changes.list("acme", filter)).items.map((each) => each.id);
    expect(await listed()).toEqual(["seen", "deploy-1"]);
    expect(await listed({ service: "payment" })).toEqual(["deploy-1"]);
    expect(await listed({ from: midnight + 1n })).toEqual(["seen"]);
    expect((await store.changes.list("other")).items).toEqual([]);
    const far = store.changes.post("acme", { ...change, id: "far", time: 2n ** 62n, title: "far" });
    await expect(far).rejects.toThrow("at most a day ahead");
  });

  it("deletes incidents and changes by their age, with what belongs to them", async () => {
    let now = Date.now();
    const elapsed = () => now;
    const { store, database } = await fresh(databases, {
      now: () => now,
      elapsed,
      retention: { max_age: 86_400_000 },
    });
    await store1(store, incident());
    await store.incidents.patch("acme", id(1), { state: "resolved", author: "ann" });
    await store.incidents.record({
      incidents: [],
      changes: [create(ChangeSchema, { id: "a", tenant: "acme", timeUnixNano: midnight })],
    });
    await store.retention.run();
    for (let hours = 0; hours < 48; hours++) {
      now += 3_600_000;
      await store.retention.run();
    }
    for (const table of [
      "incidents",
      "incident_services",
      "incident_anomalies",
      "incident_events",
      "changes",
    ]) {
      expect(await database.query(`select 1 as one from ${table}`), table).toEqual([]);
    }
  });

  it("stores the others if one of several cannot be stored", async () => {
    const { store } = await fresh(databases);
    const stored: string[] = [];
    store.incidentWriter.onStored = (items) => stored.push(...items.map(({ message }) => message.id));
    const bad = incident({ id: id(2), members: [{ anomalyIds: ["not an id"] }] });
    store.incidentWriter.offer({
      incidents: [incident({ id: id(1) }), bad, incident({ id: id(3) })],
      changes,
    });
    store.incidentWriter.offer({ incidents: [incident({ id: id(4), tenant: "" })], changes });
    await store.incidentWriter.flush();
    expect(store.incidentWriter.state()).toMatchObject({ queued: 0, written: 2, rejected: 2, dropped: 0 });
    expect(stored).toEqual([id(1), id(3)]);
  });
});

it("holds the latest revisions while the store is away, and counts what has no room", async () => {
  let away = true;
  const written: string[] = [];
  const writer = new IncidentWriter(
    async ({ incidents }) => {
      if (away) throw Object.assign(new Error("away"), { code: "ECONNREFUSED" });
      written.push(...incidents.map(({ id, revision }) => `${Number.parseInt(id, 16)}:${revision}`));
      return [];
    },
    silent,
    { maxWaiting: 3, retryMs: 1, maxRetryMs: 2 },
  );
  for (const n of [1, 2, 3, 4]) writer.offer({ incidents: [incident({ id: id(n) })], changes });
  writer.offer({ incidents: [incident({ id: id(2), revision: 2 })], changes });
  await expect.poll(() => writer.state().failure).toBe("away");
  expect(writer.state()).toMatchObject({ queued: 3, dropped: 1 });
  away = false;
  await writer.flush();
  expect(written).toEqual(["3:1", "4:1", "2:2"]);
  expect(writer.state()).toMatchObject({ queued: 0, written: 3, failure: undefined });
});
