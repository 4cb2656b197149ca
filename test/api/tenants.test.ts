/** One tenant sees and changes nothing of another's, by any route. */

import { beforeEach, describe, expect, it } from "vitest";
import { encodeReport } from "../../src/anomaly/report.ts";
import { liveSink } from "../../src/api/live/publish.ts";
import type { Call } from "../../src/receive/index.ts";
import { id, llmCall, midnight, report } from "../store/fixtures.ts";
import { keyOf, problemOf, type Running, start } from "./support.ts";

let running: Running;
let mine: { authorization: string };
let theirs: { authorization: string };
let sent: (string | undefined)[];

const secret = "the other tenant's secret";

beforeEach(async () => {
  sent = [];
  running = await start(
    { auth: { enabled: true } },
    {
      async take(call: Call) {
        sent.push(call.tenant);
        throw new Error("not wanted here");
      },
    },
  );
  const { store } = running;
  mine = await keyOf(running, "mine", "ingest", "read", "admin");
  theirs = await keyOf(running, "theirs", "ingest", "read", "admin");
  const stream = `logs service.name=${secret}`;
  await store.anomalies.record([
    report({ tenant: "theirs", id: id(1), stream, serviceName: secret, explanation: secret }),
    report({ tenant: "theirs", id: id(2), stream, explanation: secret, startTimeUnixNano: midnight + 1n }),
  ]);
  store.llm.offer(llmCall({ tenant: "theirs", conversationId: secret, agent: secret }));
  store.usage.add("theirs", { requests: 1, records: 424_242, bytes: 1 });
  await store.evidence.add("theirs", {
    id: "theirs-1",
    author: secret,
    bytes: Buffer.from("content"),
  });
});

/** Routes that name something of the other tenant. */
async function routes(): Promise<{ method: string; path: string; body?: string }[]> {
  const [stream] = (await running.store.streams.list("theirs")).items;
  const [conversation] = (await running.store.llm.list("theirs")).items;
  const page = await running.get("/v1/anomalies?limit=1", { headers: theirs });
  const { next } = (await page.json()) as { next: string };
  return [
    { method: "GET", path: "/v1/anomalies" },
    { method: "GET", path: `/v1/anomalies?after=${next}` },
    { method: "GET", path: `/v1/anomalies?stream_id=${stream!.id}` },
    { method: "GET", path: `/v1/anomalies?service=${encodeURIComponent(secret)}` },
    { method: "GET", path: "/v1/anomalies?text=secret&format=csv" },
    { method: "GET", path: "/v1/anomalies?format=ndjson" },
    { method: "GET", path: `/v1/anomalies/${id(1)}` },
    { method: "GET", path: `/v1/anomalies/${id(1)}/related` },
    { method: "GET", path: "/v1/anomalies/summary?by=stream" },
    { method: "GET", path: "/v1/anomalies?view=compact" },
    { method: "PATCH", path: `/v1/anomalies/${id(1)}`, body: '{"state":"resolved"}' },
    { method: "GET", path: "/v1/streams" },
    { method: "GET", path: `/v1/streams/${stream!.id}` },
    { method: "GET", path: "/v1/evidence" },
    { method: "GET", path: "/v1/usage" },
    { method: "GET", path: "/v1/audit" },
    { method: "POST", path: "/v1/events", body: '{"body":"hello"}' },
    { method: "POST", path: "/v1/llm", body: '{"prompts":["hello"]}' },
    { method: "GET", path: "/v1/llm/conversations" },
    { method: "GET", path: `/v1/llm/conversations/${conversation!.id}` },
  ];
}

function ask(
  { method, path, body }: { method: string; path: string; body?: string },
  headers: Record<string, string>,
): Promise<Response> {
  const type = body === undefined ? {} : { "content-type": "application/json" };
  return running.get(path, { method, headers: { ...headers, ...type }, ...(body && { body }) });
}

describe("a tenant", () => {
  it("finds nothing of another's by any route", async () => {
    for (const route of await routes()) {
      const response = await ask(route, mine);
      const text = await response.text();
      expect(text, route.path).not.toMatch(/secret|theirs|424242/);
      expect([200, 404, 500], `${route.method} ${route.path}`).toContain(response.status);
      if (response.status === 200 && !route.path.includes("format")) {
        const { items, lanes } = JSON.parse(text) as { items?: unknown[]; lanes?: unknown[] };
        expect(items ?? lanes).toEqual(
          route.path === "/v1/audit" ? [expect.objectContaining({ seq: 1 })] : [],
        );
      }
    }
    expect(sent).toEqual(["mine", "mine"]);
    expect(running.judgements).toEqual([]);
    expect((await running.store.anomalies.get("theirs", id(1)))!.state).toBe("open");
    expect((await running.store.audit.list("mine")).items.map(({ action }) => action)).toEqual([
      "key.created",
    ]);
  });

  it("cannot name another by a header, a query or a body", async () => {
    for (const name of ["x-tenant", "x-driftlock-tenant", "tenant", "x-scope-orgid"]) {
      const response = await running.get("/v1/anomalies", { headers: { ...mine, [name]: "theirs" } });
      expect(await response.json()).toEqual({ items: [] });
    }
    for (const query of ["tenant=theirs", "tenant[]=theirs", "tenant_id=theirs"]) {
      expect((await problemOf(await running.get(`/v1/anomalies?${query}`, { headers: mine }))).status).toBe(
        400,
      );
    }
    const route = {
      method: "PATCH",
      path: `/v1/anomalies/${id(1)}`,
      body: '{"state":"resolved","tenant":"theirs"}',
    };
    expect((await problemOf(await ask(route, mine))).status).toBe(400);
  });

  it("shares no idempotency keys, and no live events, with another", async () => {
    const key = { "idempotency-key": "one" };
    const route = { method: "POST", path: "/v1/events", body: '{"body":"hello"}' };
    await ask(route, { ...theirs, ...key });
    await ask({ ...route, body: '{"body":"other"}' }, { ...mine, ...key });
    expect(sent).toEqual(["theirs", "mine"]);

    const abort = new AbortController();
    const live = await running.get("/v1/stream/anomalies?last_event_id=x-1", {
      headers: mine,
      signal: abort.signal,
    });
    liveSink(running.hub)(encodeReport(report({ tenant: "theirs", id: id(1), explanation: secret })));
    liveSink(running.hub)(encodeReport(report({ tenant: "mine", id: id(7) })));
    let text = "";
    for await (const chunk of live.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.includes(id(7))) break;
    }
    abort.abort();
    expect(text).not.toMatch(/secret|theirs/);
  });
});

describe("who has no key", () => {
  it("is refused by every route that is of a tenant", async () => {
    for (const route of await routes()) {
      const response = await ask(route, {});
      expect(response.headers.get("www-authenticate"), route.path).toMatch(/^Bearer/);
      expect(await problemOf(response)).toMatchObject({ status: 401 });
    }
    for (const wrong of [
      "Bearer",
      "Basic dXNlcjpwYXNz",
      "Bearer dlk_0000000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      `${mine.authorization}x`,
      "Bearer eyJhbGciOiJub25lIn0.e30.",
    ]) {
      const response = await running.get("/v1/anomalies", { headers: { authorization: wrong } });
      expect((await problemOf(response)).status, wrong).toBe(401);
    }
    expect(sent).toEqual([]);
  });

  it("still may ask after the process", async () => {
    for (const path of ["/healthz", "/readyz", "/metrics", "/v1/version", "/openapi.json", "/docs"]) {
      expect((await running.get(path)).status, path).toBe(200);
    }
  });
});

describe("scopes", () => {
  it("let a caller do what it may, and no more", async () => {
    const can = async (scope: "ingest" | "read" | "admin") => {
      const key = await keyOf(running, "theirs", scope);
      const status = async (method: string, path: string, body?: string) =>
        (await ask({ method, path, ...(body && { body }) }, key)).status !== 403;
      return {
        read: await status("GET", "/v1/anomalies"),
        send: await status("POST", "/v1/events", '{"body":"x"}'),
        change: await status("PATCH", `/v1/anomalies/${id(1)}`, '{"state":"resolved"}'),
      };
    };
    expect(await can("ingest")).toEqual({ read: false, send: true, change: false });
    expect(await can("read")).toEqual({ read: true, send: false, change: false });
    expect(await can("admin")).toEqual({ read: true, send: false, change: true });
  });

  it("end with the key: expired and revoked ones do no more", async () => {
    const { secret: short } = await running.store.keys.create(
      "mine",
      { name: "short", scopes: ["read"], expiresAt: Date.now() + 60_000 },
      "test",
    );
    const headers = { authorization: `Bearer ${short}` };
    const status = async (sent: Record<string, string>) =>
      (await running.get("/v1/anomalies", { headers: sent })).status;
    expect(await status(headers)).toBe(200);
    running.advance(60_000);
    expect(await status(headers)).toBe(401);
    expect(await status(mine)).toBe(200);
    const key = (await running.store.keys.list("mine")).items.find(({ name }) => name === "test");
    await running.store.keys.revoke("mine", key!.id, "test");
    expect(await status(mine)).toBe(401);
  });
});

describe("limits", () => {
  it("of a tenant: 429 and when to come back, for it alone", async () => {
    const limited = await start({ auth: { enabled: true }, limits: { requests_per_second: 1 } });
    const one = await keyOf(limited, "one", "read");
    const two = await keyOf(limited, "two", "read");
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => limited.get("/v1/anomalies", { headers: one })),
    );
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(Number(refused[0]!.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    expect(await problemOf(refused[0]!)).toMatchObject({
      detail: expect.stringContaining("limits.requests_per_second (1)"),
    });
    expect((await limited.get("/v1/anomalies", { headers: two })).status).toBe(200);
  });
});
