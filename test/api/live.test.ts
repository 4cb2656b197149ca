import { describe, expect, it } from "vitest";
import { type HubLimits, LiveHub } from "../../src/api/live/hub.ts";
import { liveSink } from "../../src/api/live/publish.ts";
import { Severity } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { id, report } from "../store/fixtures.ts";
import { connect, type Event, listen, path } from "./listeners.ts";
import { afterwards, keyOf, problemOf, type Running, start } from "./support.ts";

const tell = ({ hub }: Running, n: number, init: Parameters<typeof report>[0] = {}) =>
  liveSink(hub)(report({ tenant: "default", id: id(n), ...init }));

const withHub = (limits: Partial<HubLimits>) => start({}, { hub: new LiveHub({ batchMs: 5, ...limits }) });

describe("listeners", () => {
  it("are given reports and judgements, by server-sent events and by WebSocket alike", async () => {
    const running = await start();
    const { inbox: events } = await listen(running);
    const { inbox: messages } = await connect(running);
    const found = report({
      tenant: "default",
      excerpts: { baseline: Buffer.from("x"), window: Buffer.from("y") },
    });
    await running.store.anomalies.record([found]);
    liveSink(running.hub)(found);
    for (const inbox of [events, messages]) {
      expect(await inbox.next()).toMatchObject({
        id: expect.stringMatching(/^\w+-\d+$/),
        event: "anomaly",
        data: { id: id(1), state: "open", channels: ["content"], report: { score: 30, severity: "medium" } },
      });
    }
    await running.get(`/v1/anomalies/${id(1)}`, {
      method: "PATCH",
      body: '{"state":"accepted"}',
      headers: { "content-type": "application/json" },
    });
    for (const inbox of [events, messages]) {
      expect(await inbox.next()).toMatchObject({
        event: "judgement",
        data: { id: id(1), state: "accepted" },
      });
    }
  });

  it("may ask for some alone", async () => {
    const running = await start();
    const { inbox } = await listen(running, "?severity=critical&severity=high&service=checkout");
    tell(running, 1);
    tell(running, 2, { severity: Severity.HIGH, serviceName: "cart" });
    tell(running, 3, { severity: Severity.HIGH });
    tell(running, 4, { severity: Severity.CRITICAL });
    expect(await inbox.ids(2)).toEqual([3, 4]);
  });

  it("hear of no other tenant, and are told nothing by what others miss", async () => {
    const running = await start({ auth: { enabled: true } });
    const mine = await listen(running, "", await keyOf(running, "mine", "read"));
    const theirs = await connect(running, "", { headers: await keyOf(running, "theirs", "read") });
    tell(running, 1, { tenant: "theirs" });
    tell(running, 2, { tenant: "mine" });
    tell(running, 3, { tenant: "theirs" });
    expect(await mine.inbox.ids(1)).toEqual([2]);
    expect(await theirs.inbox.ids(2)).toEqual([1, 3]);
    const back = await listen(running, "?last_event_id=nonsense", await keyOf(running, "mine", "read"));
    expect((await back.inbox.next()).event).toBe("gap");
    expect(await back.inbox.ids(1)).toEqual([2]);
  });

  it("that come back are given what they missed, once", async () => {
    const running = await start();
    const first = await listen(running);
    tell(running, 1);
    const { id: last } = await first.inbox.next();
    first.response.destroy();
    for (const n of [2, 3]) tell(running, n);
    const back = await listen(running, "", { "last-event-id": last! });
    const socket = await connect(running, `?last_event_id=${last}`);
    tell(running, 4);
    expect(await back.inbox.ids(3)).toEqual([2, 3, 4]);
    expect(await socket.inbox.ids(3)).toEqual([2, 3, 4]);
  });

  it("see that the connection lives", async () => {
    const running = await withHub({ beatMs: 20 });
    const { comments } = await listen(running);
    await connect(running);
    await expect.poll(() => comments.filter((text) => text === ": beat").length).toBeGreaterThan(2);
    expect(running.hub.readers).toBe(2);
  });

  it("are forgotten once they are gone", async () => {
    const running = await start();
    const one = await listen(running);
    const two = await connect(running);
    expect(running.hub.readers).toBe(2);
    one.response.destroy();
    two.socket.close();
    await expect.poll(() => running.hub.readers).toBe(0);
    tell(running, 1);
  });

  it("are told when the process stops", async () => {
    const running = await start();
    const one = await listen(running);
    const two = await connect(running);
    tell(running, 1);
    const closing = running.api.close();
    expect(await one.inbox.ids(1)).toEqual([1]);
    expect(await one.inbox.next()).toEqual({ event: "dropped", data: { reason: "shutting down" } });
    expect(await two.closed).toMatchObject({ code: 1001, reason: "shutting down" });
    expect(await two.inbox.ids(1)).toEqual([1]);
    await closing;
  });

  it("are refused beyond the limits", async () => {
    const running = await withHub({ readersOfTenant: 1 });
    const first = await listen(running);
    const response = await running.get(path);
    expect(response.headers.get("retry-after")).toBe("10");
    expect(await problemOf(response)).toMatchObject({
      status: 503,
      detail: expect.stringContaining("1 listeners"),
    });
    await expect(connect(running)).rejects.toThrow("refused");
    first.response.destroy();
    await expect.poll(() => running.hub.readers).toBe(0);
    await connect(running);
  });

  it("are given the newest, and told of a gap, where there is more than they are to be given", async () => {
    const running = await withHub({ deliveriesPerSecond: 500, lateMs: 20 });
    const { inbox } = await listen(running);
    const found: Event[] = [];
    let n = 0;
    const storm = setInterval(() => {
      for (let i = 0; i < 50; i++) tell(running, ++n);
    }, 10);
    afterwards(() => clearInterval(storm));
    while (!found.some(({ event }) => event === "gap")) found.push(await inbox.next());
    clearInterval(storm);
    let last = 0;
    while (last !== n) [last] = (await inbox.ids(1)) as [number];
    const ids = found.filter(({ event }) => event === "anomaly").map(({ data }) => data.id!);
    expect(ids).toEqual([...ids].sort());
    expect(found.at(-1)).toEqual({ event: "gap", data: { reason: "there were too many events" } });
  });

  it("that do not read are dropped with a reason, and hold nothing", async () => {
    const running = await withHub({ keptSize: 2 ** 20, stallMs: 200 });
    const slow = await listen(running);
    const socket = await connect(running);
    const quick = await listen(running);
    slow.response.pause();
    const text = "x".repeat(4_000);
    // More than sockets buffer, while one of the readers keeps up.
    let n = 0;
    const storm = setInterval(() => {
      for (let i = 0; i < 100; i++) tell(running, ++n, { record: { text, novel: [], index: 0 } });
    }, 5);
    afterwards(() => clearInterval(storm));
    await expect.poll(() => running.hub.readers, { timeout: 20_000 }).toBe(2);
    clearInterval(storm);
    slow.response.resume();
    await slow.ended;
    let event = await slow.inbox.next();
    while (event.event !== "dropped") event = await slow.inbox.next();
    expect(event.data.reason).toMatch(/^too slow/);
    let last = 0;
    while (last !== n) {
      const next = await quick.inbox.next();
      if (next.event === "anomaly") last = Number.parseInt(next.data.id!, 16);
    }
    socket.socket.close();
  });
});

describe("whoever listens", () => {
  it("has to have a key, and by WebSocket may name it as a subprotocol", async () => {
    const running = await start({ auth: { enabled: true } });
    expect((await problemOf(await running.get(path))).status).toBe(401);
    await expect(connect(running)).rejects.toThrow("refused");
    const { authorization } = await keyOf(running, "acme", "read");
    const { inbox, socket } = await connect(running, "", ["driftlock", `bearer.${authorization.slice(7)}`]);
    expect(socket.protocol).toBe("driftlock");
    tell(running, 1, { tenant: "acme" });
    expect(await inbox.ids(1)).toEqual([1]);
    const sender = await keyOf(running, "acme", "ingest");
    expect((await problemOf(await running.get(path, { headers: sender }))).status).toBe(403);
  });

  it("is asked again while it listens", async () => {
    const running = await start({ auth: { enabled: true } }, { recheckMs: 20 });
    const headers = await keyOf(running, "acme", "read");
    const { inbox } = await listen(running, "", headers);
    const { closed } = await connect(running, "", { headers });
    const [key] = (await running.store.keys.list("acme")).items;
    await running.store.keys.revoke("acme", key!.id, "test");
    const reason = "the API key is unknown, expired or revoked";
    expect(await inbox.next()).toEqual({ event: "dropped", data: { reason } });
    expect(await closed).toEqual({ code: 1008, reason });
  });

  it("may not come from a page of another origin while the API is open", async () => {
    const running = await start({ api: { cors_origins: ["https://ops.example"] } });
    const from = (origin: string) => connect(running, "", { headers: { origin } });
    await expect(from("https://evil.example")).rejects.toThrow("refused");
    await from("https://ops.example");
    await from(`http://${running.api.address}`);
  });
});
