import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { publishIncident } from "../../src/api/live/publish.ts";
import {
  ChangeSchema,
  GraphTickSchema,
  IncidentState,
  Join,
} from "../../src/gen/driftlock/v1/incidents_pb.js";
import { id, incident, midnight, observation, report } from "../store/fixtures.ts";
import { listen } from "./listeners.ts";
import { keyOf, problemOf, type Running, start } from "./support.ts";

const second = 1_000_000_000n;
const own = (init: Parameters<typeof incident>[0] = {}) => incident({ tenant: "default", ...init });

async function fill(running: Running, ...incidents: ReturnType<typeof incident>[]): Promise<void> {
  await running.store.incidents.record({ incidents, changes: [] });
}

const send = (running: Running, method: string, path: string, body: object, headers = {}) =>
  running.get(path, {
    method,
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });

const json = async (response: Response) => (await response.json()) as Record<string, unknown>;

describe("a list of incidents", () => {
  it("is paged, narrowed, and comes as CSV and as a line each", async () => {
    const running = await start();
    await fill(
      running,
      own({ id: id(1) }),
      own({ id: id(2), startTimeUnixNano: midnight + second, minor: true }),
      own({
        id: id(3),
        startTimeUnixNano: midnight + 2n * second,
        services: ["=cmd()"],
        state: IncidentState.ENDED,
      }),
    );
    const ids = async (query: string) =>
      ((await json(await running.get(`/v1/incidents?${query}`))).items as { id: string }[]).map((item) =>
        Number.parseInt(item.id, 16),
      );
    expect(await ids("")).toEqual([3, 2, 1]);
    expect(await ids("minor=false")).toEqual([3, 1]);
    expect(await ids("state=open&state=acknowledged")).toEqual([2, 1]);
    expect(await ids("service=payment&severity=high")).toEqual([2, 1]);
    expect(await ids("from=2026-01-31T00:00:01Z&until=2026-01-31T00:00:02Z")).toEqual([2]);
    const page = await json(await running.get("/v1/incidents?limit=2"));
    expect(await ids(`limit=2&after=${page.next}`)).toEqual([1]);
    const csv = await (await running.get("/v1/incidents?format=csv&limit=1")).text();
    expect(csv).toMatch(
      /^id,state,severity,minor,[^\n]*\r\n00000000000000000000000000000003,ended,high,false,/,
    );
    expect(csv).toContain(",'=cmd(),");
    const lines = await (
      await running.get("/v1/incidents", { headers: { accept: "application/x-ndjson" } })
    ).text();
    expect(
      lines
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).state),
    ).toEqual(["ended", "open", "open"]);
    const wrong = await problemOf(await running.get("/v1/incidents?minor=yes"));
    expect(wrong.detail).toContain("minor");
  });
});

describe("an incident", () => {
  it("shows evidence, ranking, graph, changes, timeline and its anomalies", async () => {
    const running = await start();
    const change = create(ChangeSchema, {
      id: "c1",
      tenant: "default",
      timeUnixNano: midnight - second,
      serviceName: "payment",
      attribute: "service.version",
      value: "2",
      previous: "1",
    });
    const { members } = own();
    await fill(
      running,
      own({
        members: [{ ...members[0]!, join: Join.FIRST }],
        changes: [change],
        graph: [{ caller: "checkout", operation: "POST", callee: "payment", now: { count: 3, seconds: 9 } }],
        seenBefore: [id(7)],
      }),
    );
    await running.store.anomalies.record([report({ tenant: "default", id: id(11) })]);
    const found = await json(await running.get(`/v1/incidents/${id(1)}`));
    expect(found).toMatchObject({
      state: "open",
      cause: { service: "payment", seconds: 41.2, host: null },
      evidence: [
        { stream: "traces service.name=payment", join: "first", joined_by: null, traces: ["07".repeat(16)] },
      ],
      graph: [{ caller: "checkout", callee: "payment", now: { count: 3, seconds: 9, failures: 0 } }],
      changes: [{ service: "payment", attribute: "service.version", value: "2", previous: "1", title: null }],
      seen_before: [id(7)],
      anomaly_ids: [id(11), id(12)],
      anomalies: [{ id: id(11), incident: id(1) }],
      timeline: [
        { kind: "change", text: "payment: service.version is 2 instead of 1" },
        { kind: "evidence", text: "traces service.name=payment is unusual by value" },
        { kind: "reported" },
      ],
    });
    expect((await running.get(`/v1/incidents/${id(2)}`)).status).toBe(404);
    const anomaly = await json(await running.get(`/v1/anomalies/${id(11)}`));
    expect(anomaly.incident).toBe(id(1));
  });

  it("is judged with a note by whoever calls, and the judgement is withdrawn", async () => {
    const running = await start();
    await fill(running, own());
    const path = `/v1/incidents/${id(1)}`;
    const judged = await json(await send(running, "PATCH", path, { state: "acknowledged", note: "on it" }));
    expect(judged).toMatchObject({
      state: "acknowledged",
      events: [{ state: "acknowledged", note: "on it" }],
    });
    const until = new Date(Date.now() + 3_600_000).toISOString();
    const expected = await json(await send(running, "PATCH", path, { state: "expected", until }));
    expect(expected).toMatchObject({ state: "expected", expected_until: until });
    const withdrawn = await json(await send(running, "PATCH", path, { state: null }));
    expect(withdrawn).toMatchObject({ state: "open", expected_until: null });
    expect(running.incidentJudgements).toMatchObject([
      { state: "acknowledged", note: "on it" },
      { state: "expected", until: Date.parse(until) },
      { state: "withdrawn" },
    ]);
    for (const body of [
      { state: "expected" },
      { state: "resolved", until },
      { state: "expected", until: "2020-01-01T00:00:00Z" },
      { state: "accepted" },
      {},
    ]) {
      expect((await send(running, "PATCH", path, body)).status, JSON.stringify(body)).toBe(400);
    }
    expect((await send(running, "PATCH", `/v1/incidents/${id(9)}`, { state: "false" })).status).toBe(404);
  });

  it("that is part of another one says so, and is not judged", async () => {
    const running = await start();
    await fill(
      running,
      own({ id: id(1), state: IncidentState.MERGED, mergedInto: id(2) }),
      own({ id: id(2) }),
    );
    const found = await json(await running.get(`/v1/incidents/${id(1)}`));
    expect(found).toMatchObject({ state: "merged", merged_into: id(2) });
    const refused = await send(running, "PATCH", `/v1/incidents/${id(1)}`, { state: "resolved" });
    expect(refused.status).toBe(409);
    expect((await problemOf(refused)).detail).toContain(id(2));
  });

  it("is seen, judged and changed by its own tenant alone, and judged by administrators", async () => {
    const running = await start({ auth: { enabled: true } });
    const mine = await keyOf(running, "mine", "read", "ingest");
    const theirs = await keyOf(running, "theirs", "read", "admin");
    await fill(running, incident({ tenant: "mine" }));
    const path = `/v1/incidents/${id(1)}`;
    expect((await running.get(path, { headers: mine })).status).toBe(200);
    expect((await running.get(path, { headers: theirs })).status).toBe(404);
    expect((await json(await running.get("/v1/incidents", { headers: theirs }))).items).toEqual([]);
    expect((await send(running, "PATCH", path, { state: "false" }, theirs)).status).toBe(404);
    expect((await send(running, "PATCH", path, { state: "false" }, mine)).status).toBe(403);
    expect((await send(running, "POST", "/v1/changes", { id: "a", title: "x" }, theirs)).status).toBe(403);
    expect((await send(running, "POST", "/v1/changes", { id: "a", title: "x" }, mine)).status).toBe(201);
    expect((await json(await running.get("/v1/changes", { headers: theirs }))).items).toEqual([]);
    expect((await running.get("/v1/changes")).status).toBe(401);
  });
});

describe("changes", () => {
  it("are posted once for each id, so that a pipeline may repeat its request", async () => {
    const running = await start();
    const body = { id: "deploy-1", service: "payment", title: "payment 1.9.0", link: "https://ci.example/1" };
    const first = await send(running, "POST", "/v1/changes", body);
    expect(first.status).toBe(201);
    const again = await send(running, "POST", "/v1/changes", { ...body, title: "other" });
    expect(again.status).toBe(200);
    expect(await json(again)).toMatchObject({ id: "deploy-1", title: "payment 1.9.0", attribute: null });
    expect(running.changes).toMatchObject([{ id: "deploy-1", serviceName: "payment" }]);
    const { items } = await json(await running.get("/v1/changes?service=payment"));
    expect(items).toMatchObject([{ id: "deploy-1", link: "https://ci.example/1" }]);
    for (const wrong of [
      {},
      { title: "" },
      { title: "x", link: "javascript:x" },
      { title: "x".repeat(1_025) },
    ]) {
      expect((await send(running, "POST", "/v1/changes", wrong)).status).toBe(400);
    }
    const late = await send(running, "POST", "/v1/changes", { title: "x", time: "2999-01-01T00:00:00Z" });
    expect(late.status).toBe(400);
  });
});

describe("services", () => {
  it("are listed by name with their streams and open incidents", async () => {
    const running = await start();
    await running.store.streams.record([
      observation({ tenant: "default", service: "payment", key: "logs service.name=payment" }),
      observation({ tenant: "default", service: "payment", key: "traces service.name=payment", signal: 1 }),
      observation({ tenant: "default", service: "cart", key: "logs service.name=cart" }),
      observation({ tenant: "default", service: "", key: "logs" }),
    ]);
    await fill(running, own(), own({ id: id(2), minor: true }));
    const first = await json(await running.get("/v1/services?limit=1"));
    expect(first.items).toMatchObject([
      { service: "cart", streams: 1, signals: ["logs"], open_incidents: 0 },
    ]);
    const rest = await json(await running.get(`/v1/services?limit=1&after=${first.next}`));
    expect(rest.items).toMatchObject([
      { service: "payment", streams: 2, signals: ["logs", "traces"], open_incidents: 1 },
    ]);
    expect(rest.next).toBeUndefined();
  });

  it("have a graph of averages, of their own tenant", async () => {
    const running = await start();
    expect(await json(await running.get("/v1/services/graph"))).toEqual({
      time: null,
      services: [],
      edges: [],
    });
    const figures = {
      now: { count: 20, seconds: 40, failures: 10 },
      usual: { count: 20, seconds: 2, failures: 0 },
    };
    for (const tenant of ["default", "other"]) {
      for (let i = 0n; i < 3n; i++) {
        running.graph.add(
          create(GraphTickSchema, {
            tenant,
            tickUnixNano: midnight + i * 10n * second,
            operations: [
              { service: "checkout", operation: "POST", host: "a", ...figures },
              { service: "checkout", operation: "GET", host: "b", ...figures },
              { service: tenant === "other" ? "secret" : "db", operation: "query", ...figures },
            ],
            edges: [
              { caller: "checkout", operation: "POST", callee: "db", calleeOperation: "query", ...figures },
            ],
          }),
        );
      }
    }
    const graph = await json(await running.get("/v1/services/graph"));
    const [checkout, db] = graph.services as { now: Record<string, number> }[];
    expect(checkout).toMatchObject({ service: "checkout", peer: false });
    expect(db).toMatchObject({ service: "db", peer: true });
    // At a steady rate, the averages are those of each tick from the first on.
    expect(checkout!.now.per_second).toBeCloseTo(4, 5);
    expect(checkout!.now.mean_seconds).toBeCloseTo(2, 5);
    expect(checkout!.now.failures_per_second).toBeCloseTo(2, 5);
    expect(db!.now.per_second).toBeCloseTo(2, 5);
    expect(graph.edges).toMatchObject([{ caller: "checkout", callee: "db" }]);
    expect(JSON.stringify(graph)).not.toContain("secret");
  });
});

describe("live incidents", () => {
  it("come once they are stored, and again to a reader that returns", async () => {
    const running = await start();
    const path = "/v1/stream/incidents";
    const { inbox, response } = await listen(running, "", {}, path);
    running.store.incidentWriter.offer({ incidents: [own({ id: id(1) })], changes: [] });
    const first = await inbox.next();
    expect(first).toMatchObject({ event: "incident", data: { id: id(1), state: "open", members: 1 } });
    await send(running, "PATCH", `/v1/incidents/${id(1)}`, { state: "acknowledged" });
    expect(await inbox.next()).toMatchObject({ event: "judgement", data: { state: "acknowledged" } });
    response.destroy();
    // A revision does not hide what a person has decided.
    running.store.incidentWriter.offer({ incidents: [own({ id: id(1), revision: 2 })], changes: [] });
    await running.store.incidentWriter.flush();
    const again = await listen(running, "", { "last-event-id": first.id! }, path);
    expect(await again.inbox.next()).toMatchObject({ event: "judgement" });
    expect(await again.inbox.next()).toMatchObject({
      event: "incident",
      data: { state: "acknowledged", revision: 2 },
    });
    const major = await listen(running, "?minor=false&service=cart", {}, path);
    publishIncident(running.incidentHub, "incident", (await running.store.incidents.get("default", id(1)))!);
    await fill(running, own({ id: id(2), services: ["cart"] }));
    publishIncident(running.incidentHub, "incident", (await running.store.incidents.get("default", id(2)))!);
    expect(await major.inbox.ids(1)).toEqual([2]);
  });
});
