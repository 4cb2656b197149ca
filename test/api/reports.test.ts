/** Reports of an incident through the API. */
import { describe, expect, it } from "vitest";
import { id, incident } from "../store/fixtures.ts";
import { keyOf, problemOf, type Running, start } from "./support.ts";

const path = `/v1/incidents/${id(1)}/reports`;
const entered = {
  moments: { aware: "2026-01-31T12:10:00Z", classified: "2026-01-31T13:00:00+01:00" },
  submissions: { "dora-initial": ["2026-01-31T15:30:00Z"] },
};

async function running(): Promise<Running> {
  const made = await start();
  await made.store.incidents.record({ incidents: [incident({ tenant: "default" })], changes: [] });
  return made;
}

const put = (api: Running, body: object, to = path, headers = {}) =>
  api.get(to, {
    method: "PUT",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
const json = async (response: Response) => (await response.json()) as Record<string, never>;

interface Listed {
  author: string | null;
  reports: { template: string; due: { state: string; at?: string; missing: string[] } }[];
}
const dueOf = ({ reports }: Listed, template: string) =>
  reports.find((one) => one.template === template)!.due;

describe("reports of an incident", () => {
  it("are due by what people enter", async () => {
    const api = await running();
    const before = (await json(await api.get(path))) as unknown as Listed;
    expect(before).toMatchObject({ author: null, moments: {}, submissions: {} });
    expect(before.reports).toHaveLength(15);
    expect(dueOf(before, "dora-initial")).toMatchObject({
      state: "waiting",
      missing: ["classified", "aware"],
    });
    const after = (await json(await put(api, entered))) as unknown as Listed;
    expect(dueOf(after, "dora-initial")).toMatchObject({ state: "submitted", at: "2026-01-31T16:00:00Z" });
    expect(dueOf(after, "dora-intermediate")).toMatchObject({ at: "2026-02-03T15:30:00Z" });
    expect(dueOf(after, "nis2-early-warning")).toMatchObject({ at: "2026-02-01T12:10:00Z" });
    expect(await json(await api.get(path))).toMatchObject({ ...entered, reports: after.reports });
  });

  it("are filled in, as JSON, as the structure of supervisors, and as PDF", async () => {
    const api = await running();
    await put(api, entered);
    const report = (await json(await api.get(`${path}/dora-initial`))) as unknown as {
      sections: { fields: { number: string; value: unknown }[] }[];
    };
    const values = new Map(
      report.sections.flatMap(({ fields }) => fields.map(({ number, value }) => [number, value] as const)),
    );
    expect([values.get("2.1"), values.get("2.3"), values.get("2.5"), values.get("1.2")]).toEqual([
      id(1),
      "2026-01-31T12:00:00Z",
      null,
      null,
    ]);
    expect(await json(await api.get(`${path}/dora-initial?format=structure`))).toMatchObject({
      incidentSubmission: "initial_notification",
      incident: { financialEntityCode: id(1), incidentDiscovery: "monitoring_systems" },
    });
    const pdf = await api.get(`${path}/dora-initial?format=pdf`);
    expect(pdf.headers.get("content-type")).toBe("application/pdf");
    expect(pdf.headers.get("content-disposition")).toContain(`dora-initial-${id(1)}.pdf`);
    expect(
      Buffer.from(await pdf.arrayBuffer())
        .subarray(0, 8)
        .toString(),
    ).toBe("%PDF-1.7");
  });

  it("take fields from people, checked by their types, and say who entered them", async () => {
    const api = await running();
    await put(api, entered);
    const patch = (body: object, headers = {}) =>
      api.get(path, {
        method: "PATCH",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
      });
    const first = { "2.5": "Duration and service downtime", "2.6": ["DE", "FR"], "2.9": "yes" };
    const answer = await patch({ fields: { "dora-initial": first, "dora-final": { "4.13": "12000.50" } } });
    expect(await json(answer)).toMatchObject({
      ...entered,
      fields: { "dora-initial": { "2.9": { value: "yes", author: "anonymous", at: expect.any(String) } } },
    });
    // What is entered for the initial notification holds for the reports that repeat it.
    const report = await json(await api.get(`${path}/dora-final?format=structure`));
    expect(report).toMatchObject({
      incident: {
        isBusinessContinuityActivated: true,
        grossAmountIndirectDirectCosts: 12_000.5,
        classificationTypes: [{ countryCodeMaterialityThresholds: ["DE", "FR"] }],
      },
    });
    const wrong = { "2.1": "ours-17", "2.3": "2026-01-31T12:00:00Z", "2.9": "perhaps", "9.9": "what" };
    const refused = await problemOf(await patch({ fields: { "dora-initial": wrong, other: {} } }));
    expect(refused.errors).toEqual([
      { in: "body", field: "/fields/dora-initial/2.1", detail: expect.stringContaining(`with "${id(1)}"`) },
      { in: "body", field: "/fields/dora-initial/2.3", detail: expect.stringContaining("moment classified") },
      { in: "body", field: "/fields/dora-initial/2.9", detail: "must be yes or no" },
      { in: "body", field: "/fields/dora-initial/9.9", detail: "there is no such field" },
      { in: "body", field: "/fields/other", detail: "there is no such template" },
    ]);
    await patch({ fields: { "dora-initial": { "2.1": "ours-17", "2.6": null } }, replace: true });
    const filled = (await json(await api.get(`${path}/dora-initial`))) as unknown as {
      sections: { fields: { number: string; value: unknown; entered: object | null }[] }[];
    };
    const of = new Map(filled.sections.flatMap(({ fields }) => fields.map((one) => [one.number, one])));
    expect(of.get("2.1")).toMatchObject({ value: "ours-17", entered: { instead_of: id(1) } });
    expect(of.get("2.6")).toMatchObject({ value: null, entered: null });
    const audit = (await json(await api.get("/v1/audit"))) as unknown as { items: object[] };
    expect(audit.items[0]).toMatchObject({
      action: "incident.reports",
      detail: { fields: { "dora-initial": { "2.1": "ours-17", "2.6": null } } },
    });
    // Times that were entered before are replaced, and fields are not.
    const later = await json(await put(api, { moments: {} }));
    expect(later).toMatchObject({ moments: {}, fields: { "dora-initial": { "2.1": { value: "ours-17" } } } });
    const submitted = await patch({ submissions: { "dora-initial": ["2026-01-31T15:30:00Z"] } });
    const listed = (await json(submitted)) as unknown as Listed;
    expect(dueOf(listed, "dora-intermediate")).toMatchObject({ at: "2026-02-03T15:30:00Z" });
    const [gone, moved] = [{ "dora-initial": [] }, { aware: "2026-01-31T12:10:00Z" }];
    const after = (await json(await patch({ submissions: gone, moments: moved }))) as unknown as Listed;
    expect(dueOf(after, "dora-intermediate").state).toBe("waiting");
    expect(dueOf(after, "nis2-early-warning").state).not.toBe("waiting");
  });

  it("are refused by name", async () => {
    const api = await running();
    const none = `/v1/incidents/${id(2)}/reports`;
    expect((await api.get(none)).status).toBe(404);
    expect((await put(api, entered, none)).status).toBe(404);
    expect((await api.get(`${path}/dora-other`)).status).toBe(404);
    expect((await api.get(`${path}/nis2-final?format=structure`)).status).toBe(422);
    const unknown = await problemOf(await put(api, { submissions: { other: ["2026-01-31T15:30:00Z"] } }));
    expect(unknown.detail).toContain("/submissions/other: there is no such template");
    expect((await put(api, { moments: { aware: "yesterday" } })).status).toBe(400);
    expect((await put(api, { moments: { other: "2026-01-31T15:30:00Z" } })).status).toBe(400);
  });

  it("are entered by those who may decide, for their tenant", async () => {
    const api = await start({ auth: { enabled: true } });
    await api.store.incidents.record({ incidents: [incident()], changes: [] });
    const reader = await keyOf(api, "acme", "read");
    expect((await put(api, entered, path, reader)).status).toBe(403);
    expect((await put(api, entered, path, await keyOf(api, "other", "admin"))).status).toBe(404);
    expect((await json(await put(api, entered, path, await keyOf(api, "acme", "admin")))).author).toMatch(
      /^dlk_/,
    );
  });
});
