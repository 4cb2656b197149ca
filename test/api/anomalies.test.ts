import { describe, expect, it } from "vitest";
import { Channel, Severity, Signal } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import type { AnomalyDetailJson } from "../../src/json/anomaly-schema.ts";
import { native } from "../../src/native.ts";
import { ending, id, midnight, observation, report } from "../store/fixtures.ts";
import { keyOf, problemOf, type Running, start } from "./support.ts";

const second = 1_000_000_000n;

interface Page {
  items: { id: string; [field: string]: unknown }[];
  next?: string;
}

/** Stores anomalies of a tenant, by default the one that callers have without authentication. */
async function fill({ store }: Running, count: number, tenant = "default"): Promise<void> {
  await store.anomalies.record(
    Array.from({ length: count }, (_, i) =>
      report({ tenant, id: id(i + 1), startTimeUnixNano: midnight + BigInt(i) * second }),
    ),
  );
}

async function page(running: Running, path: string): Promise<Page> {
  const response = await running.get(path);
  expect(response.status, path).toBe(200);
  return (await response.json()) as Page;
}

const ids = ({ items }: Page) => items.map((item) => Number.parseInt(item.id, 16));

describe("the list of anomalies", () => {
  it("shows each as it is, the latest first", async () => {
    const running = await start();
    await fill(running, 2);
    const { items, next } = await page(running, "/v1/anomalies");
    expect(next).toBeUndefined();
    expect(items.map((item) => item.id)).toEqual([id(2), id(1)]);
    expect(items[1]).toMatchObject({
      stream: "logs service.name=checkout",
      service: "checkout",
      signal: "logs",
      channels: ["content"],
      severity: "medium",
      state: "open",
      start_time: "2026-01-31T00:00:00.000000000Z",
      occurrences: 1,
      report: {
        channel: "content",
        score: 30,
        limit: 20,
        p_value: 1e-4,
        record: { text: "connection reset by peer", novel: [{ start: 0, end: 10 }] },
        members: [],
        expected: null,
      },
    });
    expect(items[1]).not.toHaveProperty("tenant");
  });

  it("goes through pages that nothing moves", async () => {
    const running = await start();
    await fill(running, 7);
    const first = await page(running, "/v1/anomalies?limit=3");
    expect(ids(first)).toEqual([7, 6, 5]);
    await running.store.anomalies.record([
      report({ tenant: "default", id: id(99), startTimeUnixNano: midnight + 99n * second }),
    ]);
    const response = await running.get(`/v1/anomalies?limit=3&after=${first.next}`);
    expect(ids((await response.json()) as Page)).toEqual([4, 3, 2]);
    const link = /^<(.*)>; rel="next"$/.exec(response.headers.get("link")!)![1]!;
    const last = await page(running, link);
    expect(ids(last)).toEqual([1]);
    expect(last.next).toBeUndefined();
  });

  it("narrows by each filter, and by all together", async () => {
    const running = await start();
    await running.store.anomalies.record([
      report({ tenant: "default", id: id(1) }),
      report({
        tenant: "default",
        id: id(2),
        signal: Signal.TRACES,
        stream: "traces service.name=cart",
        serviceName: "cart",
        channel: Channel.VALUE,
        severity: Severity.CRITICAL,
        explanation: "Took 100% longer",
        startTimeUnixNano: midnight + second,
      }),
      ending({ tenant: "default", id: id(3), startTimeUnixNano: midnight + 2n * second }),
    ]);
    const found = async (query: string) => ids(await page(running, `/v1/anomalies?${query}`));
    expect(await found("from=2026-01-31T00:00:01Z")).toEqual([3, 2]);
    expect(await found("from=2026-01-31T02:00:01%2B02:00&until=2026-01-31T00:00:01.000000001Z")).toEqual([2]);
    expect(await found("stream=traces%20service.name%3Dcart")).toEqual([2]);
    const { items } = await page(running, "/v1/anomalies?service=cart");
    expect(await found(`stream_id=${items[0]!.stream_id}`)).toEqual([2]);
    expect(await found("signal=traces")).toEqual([2]);
    expect(await found("signal=traces&signal=logs")).toEqual([3, 2, 1]);
    expect(await found("channel=value")).toEqual([2]);
    expect(await found("severity=critical&severity=low")).toEqual([2]);
    expect(await found("state=ended")).toEqual([3]);
    expect(await found("text=100%25%20LONGER")).toEqual([2]);
    expect(await found("text=reset&state=open&service=checkout")).toEqual([1]);
    expect(await found("text=reset&service=cart")).toEqual([2]);
    expect(await found("from=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z")).toEqual([3, 2, 1]);
  });

  it("comes as CSV and as a line each, by the Accept header or the format", async () => {
    const running = await start();
    await running.store.anomalies.record([
      report({
        tenant: "default",
        explanation: '=HYPERLINK("x"), "quoted"\nand broken',
        record: { text: "\n=1+1", novel: [], index: 0 },
        score: Infinity,
      }),
    ]);
    const csv = await running.get("/v1/anomalies?limit=5", {
      headers: { accept: "text/html, text/csv;q=0.9" },
    });
    expect(csv.headers.get("content-type")).toBe("text/csv; charset=utf-8");
    const [head, ...rows] = (await csv.text()).split("\r\n");
    expect(head).toMatch(/^id,state,severity,signal,stream,/);
    expect(rows.join("\r\n")).toContain(`,"'=HYPERLINK(""x""), ""quoted""\nand broken",`);
    expect(rows.join("\r\n")).toContain(`"'\n'=1+1"`);
    expect(rows.join("\r\n")).toContain(",1,,20,0.0001,");
    const lines = await running.get("/v1/anomalies?format=ndjson", { headers: { accept: "text/csv" } });
    expect(lines.headers.get("content-type")).toBe("application/x-ndjson; charset=utf-8");
    expect(JSON.parse(await lines.text())).toMatchObject({ id: id(1), report: { score: null } });
    const none = await running.get("/v1/anomalies", {
      headers: { accept: "image/png, application/json;q=0" },
    });
    expect((await problemOf(none)).status).toBe(406);
  });

  it.each([
    ["=1+1", "'=1+1"],
    ["+1", "'+1"],
    ["-1+1|cmd", '"\'-1+1|cmd"'],
    ["@SUM(A1)", "'@SUM(A1)"],
    ["\t=1+1", "\"'\t'=1+1\""],
    ["\r=1+1", "\\r=1+1"],
    [" =1+1", "' =1+1"],
    ["\u00a0=1+1", "'\u00a0=1+1"],
    ["\u200b=1+1", "\\u{200b}=1+1"],
    ["＝1+1", "'＝1+1"],
    ["＠SUM(A1)", "'＠SUM(A1)"],
    ["a\n=1+1", '"a\n\'=1+1"'],
    ["a\r\n  +1", '"a\\r\n\'  +1"'],
    ["a,=1+1", '"a,\'=1+1"'],
    ["a;@SUM(A1)", '"a;\'@SUM(A1)"'],
    ["a\t-1", '"a\t\'-1"'],
    ['a;"=1+1"', '"a;\'""=1+1"""'],
    ["a = b, c-d; e", '"a = b, c-d; e"'],
    ["\u009b31m \u202e\0", "\\x9b31m \\u{202e}\\x00"],
  ])("guards a cell of CSV: %j", async (text, cell) => {
    const running = await start();
    await running.store.anomalies.record([report({ tenant: "default", explanation: text })]);
    const csv = await (await running.get("/v1/anomalies?format=csv")).text();
    expect(csv).toContain(`,${cell},`);
  });

  it("has no hidden characters in any form, and loses none", async () => {
    const running = await start();
    const evil = "\u001b[2J \u009b31m \u202egnp.exe \u2028\u200b\u{e0041}";
    const init = { tenant: "default", explanation: evil, stream: `logs ${evil}`, serviceName: evil };
    await running.store.anomalies.record([report(init)]);
    const paths = [
      "",
      `/${id(1)}`,
      "?format=ndjson",
      "?format=csv",
      `/${evil}`,
      `?state=${evil}`,
      `?${evil}=1`,
    ];
    for (const path of paths) {
      const response = await running.get(`/v1/anomalies${encodeURI(path)}`);
      const text = await response.text();
      expect(text).not.toMatch(/[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]--[\r\n]]/v);
      if (response.status === 200 && !path.endsWith("csv"))
        expect(JSON.stringify(JSON.parse(text))).toContain(evil.slice(4));
    }
  });

  it("refuses what is no filter, and says which", async () => {
    const { get } = await start();
    for (const [query, detail] of [
      ["limit=0", "query limit: must be at least 1"],
      ["limit=1001", "query limit: must be at most 1000"],
      ["limit=x", "query limit: must be a number"],
      ["limit=1.5", "query limit: must be a whole number"],
      ["limit=5&limit=6", "query limit: must be given once"],
      ["from=yesterday", "query from: must be RFC 3339 with a zone, such as 2026-01-31T12:00:00Z"],
      ["severity=awful", "query severity: is not a known value; use low, medium, high, critical"],
      ["severity=high&severity=lwo", "query severity: is not a known value; did you mean low?"],
      ["state=", "query state: is not a known value; use open, "],
      ["after=AAAA", "after: is not the cursor"],
      ["after=%2B", "query after: is not the cursor"],
      ["sevrity=high", "query sevrity: is unknown; did you mean severity?"],
      ["tenant=other", "query tenant: is unknown; there are from, until, stream, "],
      ["stream_id=a/b", "query stream_id: must be 1 to 64 letters, digits, - or _"],
      ["text=", "query text: must not be empty"],
      [`text=${"x".repeat(257)}`, "query text: must have at most 256 characters"],
    ]) {
      const problem = await problemOf(await get(`/v1/anomalies?${query}`));
      expect(problem, query).toMatchObject({ status: 400, detail: expect.stringContaining(detail!) });
    }
  });

  it("answers 503 while the store is away", async () => {
    const { get, store } = await start();
    await store.close();
    const response = await get("/v1/anomalies");
    expect(response.headers.get("retry-after")).toBe("5");
    expect(await problemOf(response)).toMatchObject({ status: 503, detail: "the store does not answer now" });
  });
});

describe("an anomaly", () => {
  it("is shown whole: reports, excerpts, settings, what people said", async () => {
    const running = await start();
    const excerpts = { baseline: Buffer.from("old"), window: Buffer.from("new") };
    await running.store.anomalies.record([
      report({ tenant: "default", excerpts }),
      report({
        tenant: "default",
        occurrence: 2n,
        score: 90,
        margin: 9,
        withheld: { count: 3n, channel: Channel.FIELDS, score: 2.5, timeUnixNano: midnight },
        record: { text: "worse", novel: [], index: 0 },
      }),
    ]);
    const response = await running.get(`/v1/anomalies/${id(1)}`);
    expect(await response.json()).toMatchObject({
      id: id(1),
      occurrences: 2,
      report: {
        score: 90,
        withheld: { count: 3, channel: "fields", score: 2.5, time: "2026-01-31T00:00:00.000000000Z" },
      },
      first: { score: 30, withheld: null },
      examples: [{ record: { text: "connection reset by peer" } }, { record: { text: "worse" } }],
      events: [],
      excerpts: { baseline: "b2xk", window: "bmV3" },
      // These are no frames.
      excerpt_texts: null,
      settings: [{ hash: expect.stringMatching(/^[0-9a-f]{64}$/), body: { detect: { seed: 42 } } }],
    });
  });

  it("shows the latest lines of its excerpts", async () => {
    const running = await start();
    const frame = (lines: string[]) =>
      native.compress("openzl", Buffer.from(lines.map((line) => `${line}\n`).join("")));
    const long = Array.from({ length: 100 }, (_, i) => `${String(i).padStart(2, "0")} ${"x".repeat(1_020)}`);
    const excerpts = { baseline: frame(long), window: frame(["GET /a by [email]", "GET /b\u202e"]) };
    await running.store.anomalies.record([report({ tenant: "default", excerpts })]);
    const { excerpt_texts: texts } = (await (
      await running.get(`/v1/anomalies/${id(1)}`)
    ).json()) as AnomalyDetailJson;
    expect(texts).toEqual({
      baseline: { lines: long.slice(36), left_out: 36 },
      window: { lines: ["GET /a by [email]", "GET /b\u202e"], left_out: 0 },
    });
  });

  it("takes no parameters", async () => {
    const { get } = await start();
    for (const path of [`/v1/anomalies/${id(5)}`, "/v1/streams/1"]) {
      expect(await problemOf(await get(`${path}?tenant=other`))).toMatchObject({
        status: 400,
        detail: "query tenant: is unknown; there are none",
      });
    }
  });

  it("that there is not", async () => {
    const { get } = await start();
    expect((await problemOf(await get(`/v1/anomalies/${id(5)}`))).status).toBe(404);
    expect((await problemOf(await get("/v1/anomalies/a%2fb"))).status).toBe(400);
  });
});

describe("judging an anomaly", () => {
  const patch = (running: Running, path: string, body: object, headers: object = {}) =>
    running.get(path, {
      method: "PATCH",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json", ...headers },
    });

  it("keeps state, note and author, tells the engine, and is in the audit log", async () => {
    const running = await start({ auth: { enabled: true } });
    await running.store.anomalies.record([report({ tenant: "acme" })]);
    const admin = await keyOf(running, "acme", "admin");
    const [key] = (await running.store.keys.list("acme")).items;
    const response = await patch(
      running,
      `/v1/anomalies/${id(1)}`,
      { state: "false", note: "a test" },
      admin,
    );
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      state: "false",
      events: [{ state: "false", note: "a test", author: key!.prefix }],
    });
    expect(running.judgements).toEqual([{ state: "false", note: "a test", author: key!.prefix }]);
    const [entry] = (await running.store.audit.list("acme")).items;
    expect(entry).toMatchObject({ actor: key!.prefix, action: "anomaly.false", target: id(1) });
    expect((await running.store.audit.verify("acme")).ok).toBe(true);
  });

  it("takes each state, one after another", async () => {
    const running = await start();
    await fill(running, 1);
    for (const state of ["acknowledged", "resolved", "accepted", "false"]) {
      expect((await patch(running, `/v1/anomalies/${id(1)}`, { state })).status).toBe(200);
    }
    const { events } = (await (await running.get(`/v1/anomalies/${id(1)}`)).json()) as {
      events: { state: string; author: string }[];
    };
    expect(events.map(({ state }) => state)).toEqual(["acknowledged", "resolved", "accepted", "false"]);
    expect(events[0]!.author).toBe("anonymous");
  });

  it("changes nothing that is not there", async () => {
    const running = await start();
    const response = await patch(running, `/v1/anomalies/${id(1)}`, { state: "resolved" });
    expect((await problemOf(response)).status).toBe(404);
    expect(running.judgements).toEqual([]);
  });
});

describe("streams", () => {
  it("are listed and shown, with the scores of their anomalies", async () => {
    const running = await start();
    await fill(running, 2);
    await running.store.streams.record([
      observation({
        tenant: "default",
        lastSeen: midnight + 10n * second,
        baselineAt: midnight + 4n * second,
        records: 50n,
        flagged: 2n,
        withheld: 5n,
        score: 7.5,
        channel: Channel.CONTENT,
        pValue: 1e-6,
      }),
      observation({ tenant: "default", key: "logs service.name=new", state: "learning", progress: 0.25 }),
    ]);
    const { items } = await page(running, "/v1/streams?signal=logs&service=checkout&state=watching");
    expect(items).toEqual([
      expect.objectContaining({
        key: "logs service.name=checkout",
        records: 50,
        records_per_second: 5,
        recent_records_per_second: expect.any(Number),
        progress: 1,
        baseline_since: "2026-01-31T00:00:04.000000000Z",
        baseline_age_seconds: 6,
        flagged: 2,
        withheld: 5,
        anomalies: 2,
      }),
    ]);
    const learning = await page(running, "/v1/streams?state=learning&state=limited");
    expect(learning.items).toEqual([
      expect.objectContaining({ progress: 0.25, baseline_since: null, baseline_age_seconds: null }),
    ]);
    expect((await page(running, "/v1/streams?state=shelved")).items).toEqual([]);
    const response = await running.get(`/v1/streams/${items[0]!.id}`);
    const { history, scores } = (await response.json()) as { history: object[]; scores: object[] };
    expect(history).toEqual([
      {
        time: expect.stringMatching(/:[0-5][05]:00\.000Z$/),
        records: 50,
        records_per_second: expect.any(Number),
        flagged: 2,
        score: 7.5,
        channel: "content",
        p_value: 1e-6,
      },
    ]);
    expect(scores).toEqual([
      expect.objectContaining({ anomaly: id(1), score: 30, limit: 20, channel: "content" }),
      expect.objectContaining({ anomaly: id(2) }),
    ]);
    expect((await problemOf(await running.get("/v1/streams/none"))).status).toBe(404);
  });
});

describe("the audit log", () => {
  it("is shown to who may judge, newest first and chained", async () => {
    const running = await start({ auth: { enabled: true } });
    const admin = await keyOf(running, "acme", "admin");
    await running.store.anomalies.record([report({ tenant: "acme" })]);
    const judged = await running.get(`/v1/anomalies/${id(1)}`, {
      method: "PATCH",
      headers: { ...admin, "content-type": "application/json" },
      body: JSON.stringify({ state: "resolved", note: "restarted" }),
    });
    expect(judged.status).toBe(200);
    const response = await running.get("/v1/audit", { headers: admin });
    const { items } = (await response.json()) as { items: Record<string, unknown>[] };
    const [newest, first] = items;
    expect(newest).toMatchObject({
      seq: 2,
      action: "anomaly.resolved",
      target: id(1),
      detail: { note: "restarted" },
      previous_hash: first!.hash,
    });
    expect(first).toMatchObject({ seq: 1, action: "key.created", previous_hash: "0".repeat(64) });
    const reader = await keyOf(running, "acme", "read");
    expect((await problemOf(await running.get("/v1/audit", { headers: reader }))).status).toBe(403);
  });
});

describe("usage and evidence", () => {
  it("are listed", async () => {
    const running = await start();
    running.store.usage.add("default", { requests: 2, records: 30, bytes: 400 });
    const today = new Date().toISOString().slice(0, 10);
    expect((await page(running, "/v1/usage")).items).toEqual([
      { day: today, requests: 2, records: 30, bytes: 400 },
    ]);
    expect((await page(running, "/v1/usage?to=2020-01-01")).items).toEqual([]);
    expect((await problemOf(await running.get("/v1/usage?from=2020-13-01"))).status).toBe(400);

    expect((await page(running, "/v1/evidence")).items).toEqual([]);
    await running.store.anomalies.record([report({ tenant: "default" })]);
    await running.store.evidence.add("default", {
      id: "bundle-1",
      anomalyId: id(1),
      author: "someone",
      bytes: Buffer.from("content"),
    });
    const [bundle] = (await page(running, "/v1/evidence")).items;
    expect(bundle).toMatchObject({ id: "bundle-1", anomaly: id(1), size: 7 });
  });
});

describe("the compact list", () => {
  it("has what a line shows, in much fewer bytes", async () => {
    const running = await start();
    await fill(running, 5);
    const full = await (await running.get("/v1/anomalies")).text();
    const compact = await (await running.get("/v1/anomalies?view=compact")).text();
    expect(compact.length).toBeLessThan(0.6 * full.length);
    const whole = JSON.parse(full) as Page;
    for (const [i, item] of (JSON.parse(compact) as Page).items.entries()) {
      expect(whole.items[i]).toMatchObject(item);
      expect(item).not.toHaveProperty("stream_id");
      expect(Object.keys(item.report as object)).toEqual(["score", "limit", "margin", "explanation"]);
    }
    const lines = await (await running.get("/v1/anomalies?view=compact&format=ndjson")).text();
    expect(
      lines
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual(JSON.parse(compact).items);
    const csv = await (await running.get("/v1/anomalies?view=compact&format=csv")).text();
    expect(csv).toBe(await (await running.get("/v1/anomalies?format=csv")).text());
  });

  it("goes through pages, and shows anomalies without a report", async () => {
    const running = await start();
    await fill(running, 2);
    await running.store.anomalies.record([
      ending({ tenant: "default", id: id(3), startTimeUnixNano: midnight + 9n * second }),
    ]);
    const first = await page(running, "/v1/anomalies?view=compact&limit=2");
    expect(first.items.map(({ id: own, report: one }) => [own, one === null])).toEqual([
      [id(3), true],
      [id(2), false],
    ]);
    expect(ids(await page(running, `/v1/anomalies?view=compact&limit=2&after=${first.next}`))).toEqual([1]);
  });
});

describe("the summary", () => {
  interface Counts {
    lanes: { lane: string; total: number; counts: { bucket: number; [severity: string]: number }[] }[];
    others: { lanes: number; total: number; counts: { bucket: number; [severity: string]: number }[] };
    [member: string]: unknown;
  }
  const counts = async (running: Running, query: string): Promise<Counts> =>
    (await (await running.get(`/v1/anomalies/summary?${query}`)).json()) as Counts;
  const range = "from=2026-01-31T00:00:00Z&until=2026-01-31T01:00:00Z";

  it("counts by lane, bucket and severity, in the order of the totals", async () => {
    const running = await start();
    const at = (n: number, minute: number, more: object = {}) =>
      report({
        tenant: "default",
        id: id(n),
        startTimeUnixNano: midnight + BigInt(minute) * 60n * second,
        ...more,
      });
    await running.store.anomalies.record([
      at(1, 0),
      at(2, 1, { severity: Severity.CRITICAL }),
      at(3, 59),
      at(4, 30, { serviceName: "cart", stream: "logs service.name=cart", channel: Channel.VOLUME }),
      at(5, 31, { serviceName: "mail", stream: "logs service.name=mail" }),
      at(6, 60),
    ]);
    const found = await counts(running, `${range}&buckets=6&top=1`);
    expect(found).toEqual({
      by: "service",
      from: "2026-01-31T00:00:00.000000000Z",
      until: "2026-01-31T01:00:00.000000000Z",
      bucket_seconds: 600,
      lanes: [
        {
          lane: "checkout",
          total: 3,
          counts: [
            { bucket: 0, low: 0, medium: 1, high: 0, critical: 1 },
            { bucket: 5, low: 0, medium: 1, high: 0, critical: 0 },
          ],
        },
      ],
      others: {
        lanes: 2,
        total: 2,
        counts: [{ bucket: 3, low: 0, medium: 2, high: 0, critical: 0 }],
      },
      counted_from: null,
    });
    const lanesBy = async (by: string, more = "") =>
      (await counts(running, `${range}&by=${by}${more}`)).lanes.map(({ lane, total }) => [lane, total]);
    expect(await lanesBy("channel")).toEqual([
      ["content", 4],
      ["volume", 1],
    ]);
    expect(await lanesBy("stream", "&severity=critical")).toEqual([["logs service.name=checkout", 1]]);
    expect(await lanesBy("signal", "&text=reset")).toEqual([["logs", 5]]);
    expect(await lanesBy("state", "&service=cart")).toEqual([["open", 1]]);
    // A lane is a value of the filter of its name.
    expect(ids(await page(running, "/v1/anomalies?channel=volume"))).toEqual([4]);
  });

  it("has the range of the anomalies if none is given, and counts none of others", async () => {
    const running = await start();
    expect(await counts(running, "")).toMatchObject({ lanes: [], others: { lanes: 0, total: 0 } });
    await fill(running, 3);
    await fill(running, 9, "other");
    const found = await counts(running, "buckets=2");
    expect(found.lanes).toMatchObject([{ lane: "checkout", total: 3 }]);
    expect(found).toMatchObject({
      from: "2026-01-31T00:00:00.000000000Z",
      until: "2026-01-31T00:00:02.000000001Z",
    });
    expect(await counts(running, "from=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z")).toMatchObject({
      lanes: [{ total: 3 }],
    });
  });

  it.each([
    ["from=2026-01-31T01:00:00Z&until=2026-01-31T01:00:00Z", "until"],
    ["buckets=501", "buckets"],
    ["by=colour", "by"],
    ["limit=3", "limit"],
  ])("refuses %s", async (query, field) => {
    const running = await start();
    const response = await running.get(`/v1/anomalies/summary?${query}`);
    expect(response.status).toBe(400);
    expect((await problemOf(response)).detail).toContain(field);
  });

  it("counts thousands in steps", async () => {
    const running = await start();
    const many = 12_345;
    for (let from = 0; from < many; from += 1_000) {
      await running.store.anomalies.record(
        Array.from({ length: Math.min(1_000, many - from) }, (_, i) =>
          report({
            tenant: "default",
            id: id(from + i + 1),
            // Many begin at the same time, also where a step ends.
            startTimeUnixNano: midnight + BigInt(Math.floor((from + i) / 700)) * second,
          }),
        ),
      );
    }
    const found = await counts(running, "buckets=500");
    expect(found.counted_from).toBeNull();
    expect(found.lanes).toMatchObject([{ lane: "checkout", total: many }]);
  });
});

describe("related anomalies", () => {
  it("have a trace in common, or began at about the same time", async () => {
    const running = await start();
    const trace = (n: number) => Uint8Array.from({ length: 16 }, () => n);
    const at = (n: number, seconds: number, more: object = {}) =>
      report({
        tenant: "default",
        id: id(n),
        startTimeUnixNano: midnight + BigInt(3_600 + seconds) * second,
        traceId: trace(100 + n),
        ...more,
      });
    await running.store.anomalies.record([
      at(1, 0, { traceId: trace(7) }),
      at(2, 3_000, { traceId: trace(7) }),
      at(3, -20),
      at(4, 10),
      at(5, 299),
      at(6, 301),
      at(7, -301),
      at(8, 0, { tenant: "other", traceId: trace(7) }),
    ]);
    const related = (await (await running.get(`/v1/anomalies/${id(1)}/related`)).json()) as {
      same_trace: { id: string }[];
      same_time: { id: string }[];
    };
    expect(related.same_trace.map((each) => each.id)).toEqual([id(2)]);
    expect(related.same_time.map((each) => each.id)).toEqual([id(4), id(3), id(5)]);
    expect((await running.get(`/v1/anomalies/${id(8)}/related`)).status).toBe(404);
  });
});
