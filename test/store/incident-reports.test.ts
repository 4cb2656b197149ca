/** What people enter about reports: by tenant, in the audit log, and gone with the incident. */
import { expect, it } from "vitest";
import { fresh, onEachDatabase } from "./databases.ts";
import { id, incident } from "./fixtures.ts";

const entered = { moments: { aware: "2026-01-31T12:10:00Z" }, submissions: {} };

onEachDatabase((databases) => {
  it("keeps what was entered last, with an entry in the audit log", async () => {
    const { store } = await fresh(databases);
    await store.incidents.record({ incidents: [incident()], changes: [] });
    expect(await store.incidentReports.get("acme", id(1))).toBeUndefined();
    await store.incidentReports.change("acme", id(1), "ann", () => ({ entered, detail: { entered } }));
    const later = { ...entered, submissions: { "nis2-early-warning": ["2026-02-01T12:10:00Z"] } };
    const { submissions } = later;
    await store.incidentReports.change("acme", id(1), "bo", (before) => {
      expect(before).toEqual(entered);
      return { entered: { ...entered, submissions }, detail: { submissions } };
    });
    const refused = store.incidentReports.change("acme", id(1), "cy", () => {
      throw new Error("not like this");
    });
    await expect(refused).rejects.toThrow("not like this");
    const large = { moments: { aware: "x".repeat(600_000) } };
    await expect(
      store.incidentReports.change("acme", id(1), "cy", () => ({ entered: large, detail: {} })),
    ).rejects.toThrow("at most 524288 characters");
    expect(await store.incidentReports.get("acme", id(1))).toMatchObject({ entered: later, author: "bo" });
    expect(await store.incidentReports.get("other", id(1))).toBeUndefined();
    const { items } = await store.audit.list("acme");
    expect(items.slice(0, 2)).toMatchObject([
      { action: "incident.reports", actor: "bo", target: id(1), detail: { submissions } },
      { action: "incident.reports", actor: "ann", detail: { entered } },
    ]);
    expect(await store.audit.verify("acme")).toMatchObject({ ok: true });
  });

  it("enters nothing about an incident that is not there", async () => {
    const { store } = await fresh(databases);
    expect(
      await store.incidentReports.change("acme", id(1), "ann", () => ({ entered, detail: {} })),
    ).toBeUndefined();
    expect((await store.audit.list("acme")).items).toEqual([]);
  });
});
