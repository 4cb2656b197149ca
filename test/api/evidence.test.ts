import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { verifyBundle } from "../../src/verify/verify.ts";
import { id, report } from "../store/fixtures.ts";
import { forFile, keyOf, problemOf, type Running, start } from "./support.ts";

const post = (body: unknown, headers: object = {}): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(body),
});

async function filled(running: Running): Promise<Running> {
  await running.store.anomalies.record([
    report({
      tenant: "default",
      explanation: "“\u202ereversed\u202c” ist neu",
      record: { text: "a\u0000b" },
    }),
  ]);
  return running;
}

const running = await forFile(async () => filled(await start()));

it("makes a bundle, lists it, and returns its bytes as they were signed", async () => {
  const made = await running.get("/v1/evidence", post({ anomaly: id(1), note: "for the auditor" }));
  expect(made.status).toBe(201);
  const bundle = (await made.json()) as { id: string; sha256: string; size: number };
  expect(bundle).toMatchObject({ anomaly: id(1), incident: null, author: "anonymous" });
  expect(made.headers.get("location")).toBe(`/v1/evidence/${bundle.id}`);
  const { items } = (await (await running.get("/v1/evidence")).json()) as { items: object[] };
  expect(items).toContainEqual(bundle);
  const found = async (query: string) =>
    ((await (await running.get(`/v1/evidence?${query}`)).json()) as { items: object[] }).items;
  expect(await found(`about=${id(1)}&author=anonymous`)).toContainEqual(bundle);
  expect(await found(`about=${id(2)}`)).toEqual([]);
  expect(await found("author=ann")).toEqual([]);
  const file = await running.get(`/v1/evidence/${bundle.id}`);
  expect(file.headers.get("content-disposition")).toBe(`attachment; filename="evidence-${bundle.id}.json"`);
  const bytes = Buffer.from(await file.arrayBuffer());
  expect(bytes.length).toBe(bundle.size);
  expect(createHash("sha256").update(bytes).digest("hex")).toBe(bundle.sha256);
  expect(await verifyBundle(bytes.toString())).toMatchObject({ ok: true });
  expect((await running.store.audit.list("default")).items[0]).toMatchObject({
    action: "evidence.created",
    actor: "anonymous",
    target: bundle.id,
    detail: { note: "for the auditor" },
  });
});

it("answers a caller whose bundle takes longer than a connection may be idle", async () => {
  const { get } = await filled(await start({}, { idleMs: 50 }));
  const answers = await Promise.all(
    Array.from({ length: 4 }, () => get("/v1/evidence", post({ anomaly: id(1) }))),
  );
  expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201]);
});

it("makes bundles beside other requests, and none for a caller who has gone", async () => {
  const { get, store } = await filled(await start());
  let made = 0;
  const leaving = new AbortController();
  const asked = Array.from({ length: 12 }, async (_, i) => {
    const signal = i === 11 ? leaving.signal : new AbortController().signal;
    const { status } = await get("/v1/evidence", { ...post({ anomaly: id(1) }), signal });
    if (status === 201) made += 1;
  });
  const ended = Promise.allSettled(asked);
  await expect.poll(() => made).toBeGreaterThan(0);
  leaving.abort();
  expect((await get("/v1/anomalies")).status).toBe(200);
  expect(made).toBeLessThan(8);
  expect((await ended).map(({ status }) => status)).toEqual([...Array(11).fill("fulfilled"), "rejected"]);
  expect((await store.evidence.list("default", { limit: 100 })).items).toHaveLength(11);
});

it("refuses what names nothing, both, or what does not exist", async () => {
  for (const body of [{}, { anomaly: id(1), incident: id(1) }, { anomaly: "../x" }, { other: 1 }]) {
    expect((await running.get("/v1/evidence", post(body))).status).toBe(400);
  }
  const unknown = await running.get("/v1/evidence", post({ incident: id(77) }));
  expect(await problemOf(unknown)).toMatchObject({
    status: 404,
    detail: "there is no incident with this id",
  });
  expect((await running.get(`/v1/evidence/${id(5)}`)).status).toBe(404);
});

it("renders a PDF if that is asked for", async () => {
  const made = (await (await running.get("/v1/evidence", post({ anomaly: id(1) }))).json()) as { id: string };
  for (const [query, accept] of [
    ["", "application/pdf"],
    ["?format=pdf", "*/*"],
  ] as const) {
    const pdf = await running.get(`/v1/evidence/${made.id}${query}`, { headers: { accept } });
    expect(pdf.headers.get("content-type")).toBe("application/pdf");
    expect((await pdf.text()).slice(0, 9)).toBe("%PDF-1.7\n");
  }
  const json = await running.get(`/v1/evidence/${made.id}`, { headers: { accept: "text/html,*/*" } });
  expect(json.headers.get("content-type")).toMatch(/^application\/json/);
});

it("asks for the scope admin to make, read and delete a bundle, and lists bundles to their tenant alone", async () => {
  const guarded = await start({ auth: { enabled: true } });
  await guarded.store.anomalies.record([report({ tenant: "acme" })]);
  const [reader, admin, other] = [
    await keyOf(guarded, "acme", "read"),
    await keyOf(guarded, "acme", "admin"),
    await keyOf(guarded, "other", "admin"),
  ];
  expect((await guarded.get("/v1/evidence", post({ anomaly: id(1) }, reader))).status).toBe(403);
  expect((await guarded.get("/v1/evidence", post({ anomaly: id(1) }, other))).status).toBe(404);
  const made = await guarded.get("/v1/evidence", post({ anomaly: id(1) }, admin));
  const { id: bundle } = (await made.json()) as { id: string };
  const file = `/v1/evidence/${bundle}`;
  for (const method of ["GET", "DELETE"]) {
    expect((await guarded.get(file, { method, headers: reader })).status).toBe(403);
    expect((await guarded.get(file, { method, headers: other })).status).toBe(404);
  }
  expect((await guarded.get("/v1/evidence", { headers: reader })).status).toBe(200);
  expect((await guarded.get(file, { headers: admin })).status).toBe(200);
  const deleted = await guarded.get(file, { method: "DELETE", headers: admin });
  expect(await deleted.json()).toMatchObject({ id: bundle, anomaly: id(1) });
  expect((await guarded.get(file, { headers: admin })).status).toBe(404);
  expect((await guarded.store.audit.list("acme")).items[0]).toMatchObject({
    action: "evidence.deleted",
    target: bundle,
  });
});
