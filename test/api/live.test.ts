import { once } from "node:events";
import { createConnection } from "node:net";
import { describe, expect, it } from "vitest";
import { encodeReport } from "../../src/anomaly/report.ts";
import type { Batch } from "../../src/api/live/event.ts";
import { type HubLimits, LiveHub, type Reader } from "../../src/api/live/hub.ts";
import { liveSink } from "../../src/api/live/publish.ts";
import { Severity } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import type { AnomalyJson } from "../../src/json/anomaly-schema.ts";
import { id, report } from "../store/fixtures.ts";
import { connect, type Event, listen, path } from "./listeners.ts";
import { afterwards, keyOf, problemOf, type Running, start } from "./support.ts";

const tell = ({ hub }: Running, n: number, init: Parameters<typeof report>[0] = {}) =>
  liveSink(hub)(encodeReport(report({ tenant: "default", id: id(n), ...init })));

const withHub = (limits: Partial<HubLimits>) =>
  start({}, { hub: new LiveHub<AnomalyJson>({ batchMs: 5, ...limits }) });

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
    liveSink(running.hub)(encodeReport(found));
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

  it("are given nothing hidden, and all of it", async () => {
    const running = await start();
    const explanation = "\u001b[2J \u009b31m \u202egnp.exe \u2028\u200b\u{e0041}";
    const events = await listen(running);
    const messages = await connect(running);
    let raw = "";
    events.response.on("data", (chunk: string) => {
      raw += chunk;
    });
    messages.socket.addEventListener("message", ({ data }) => {
      raw += data as string;
    });
    liveSink(running.hub)(encodeReport(report({ tenant: "default", explanation })));
    for (const { inbox } of [events, messages]) {
      expect((await inbox.next()).data).toMatchObject({ report: { explanation } });
    }
    expect(raw).not.toMatch(/[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]--\n]/v);
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

  it("give a place up to a tenant with fewer where all are taken", async () => {
    const hub = new LiveHub<AnomalyJson>({ batchMs: 5, readersOfPeer: 3 });
    const running = await start({ auth: { enabled: true } }, { hub });
    const [many, few] = [await keyOf(running, "many", "read"), await keyOf(running, "few", "read")];
    const first = await listen(running, "", many);
    await listen(running, "", many);
    const third = await connect(running, "", { headers: many });
    expect((await problemOf(await running.get(path, { headers: many }))).detail).toContain("127.0.0.1");
    const other = await listen(running, "", few);
    const reason = "others need the place: the tenant has the most listeners";
    expect(await third.closed).toEqual({ code: 1013, reason });
    // Now they have two and one.
    expect((await problemOf(await running.get(path, { headers: few }))).status).toBe(503);
    tell(running, 1, { tenant: "many" });
    tell(running, 2, { tenant: "few" });
    expect(await first.inbox.ids(1)).toEqual([1]);
    expect(await other.inbox.ids(1)).toEqual([2]);
    expect(hub.counts).toMatchObject({ refused: 2, dropped: { crowded: 1 } });
  });

  it("that leave while their key is verified are not kept", async () => {
    const running = await start({ auth: { enabled: true } });
    const headers = await keyOf(running, "acme", "read");
    const text = `GET ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: ${headers.authorization}\r\n\r\n`;
    const [host, port] = running.api.address.split(":") as [string, string];
    for (let n = 0; n < 50; n++) {
      const socket = createConnection(Number(port), host);
      await new Promise<void>((resolve) => socket.write(text, () => resolve()));
      socket.resetAndDestroy();
    }
    await listen(running, "", headers);
    await expect.poll(() => running.hub.readers).toBe(1);
  });

  it("that want the same are given the same bytes, whatever else they are not given", async () => {
    const hub = new LiveHub<AnomalyJson>({ batchMs: 1 });
    const given: Batch[] = [];
    const reader = (severity: string): Reader<AnomalyJson> => ({
      tenant: "acme",
      peer: "127.0.0.1",
      accepts: (item) => item.severity === severity,
      ready: () => true,
      give: (batch) => given.push(batch),
      heartbeat() {},
      drop() {},
    });
    for (const severity of ["high", "high", "low"]) hub.subscribe(reader(severity), undefined);
    liveSink(hub)(encodeReport(report({ id: id(1), severity: Severity.HIGH })));
    liveSink(hub)(encodeReport(report({ id: id(2), severity: Severity.LOW })));
    hub.close();
    expect(given.map((batch) => batch.length)).toEqual([1, 1, 1]);
    expect(given[0]).toBe(given[1]);
    expect(given[2]).not.toBe(given[0]);
  });

  describe("by WebSocket", () => {
    /** Sends frames by hand until the connection is closed. */
    async function flood(running: Running, frame: Buffer, reads: boolean, first: Buffer): Promise<void> {
      const [host, port] = running.api.address.split(":") as [string, string];
      const socket = createConnection(Number(port), host);
      afterwards(() => socket.destroy());
      socket.on("error", () => {});
      socket.write(
        `GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n` +
          "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
      );
      await once(socket, "data");
      if (reads) socket.resume();
      else socket.pause();
      socket.write(first);
      const chunk = Buffer.concat(Array.from({ length: 200 }, () => frame));
      while (!socket.destroyed && socket.bytesWritten < 64 * 2 ** 20) {
        if (socket.write(chunk)) await new Promise(setImmediate);
        else await Promise.race([once(socket, "drain"), once(socket, "close")]).catch(() => {});
      }
      expect(socket.destroyed).toBe(true);
    }
    const frameOf = (first: number, length: number) =>
      Buffer.concat([Buffer.from([first, 0x80 | length, 0, 0, 0, 0]), Buffer.alloc(length)]);

    it.each([
      ["pings", frameOf(0x89, 125), Buffer.alloc(0)],
      ["pongs", frameOf(0x8a, 0), Buffer.alloc(0)],
      ["messages", frameOf(0x81, 100), Buffer.alloc(0)],
      ["fragments", frameOf(0x00, 0), frameOf(0x01, 1)],
    ])("are cut when they send floods of %s, also where they do not read", async (_name, frame, first) => {
      const running = await start();
      for (const reads of [true, false]) await flood(running, frame, reads, first);
      await expect.poll(() => running.hub.readers).toBe(0);
    });

    it("are answered when they ping", async () => {
      const running = await start();
      const [host, port] = running.api.address.split(":") as [string, string];
      const socket = createConnection(Number(port), host);
      afterwards(() => socket.destroy());
      socket.write(
        `GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n` +
          "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
      );
      await once(socket, "data");
      socket.write(frameOf(0x89, 3));
      const [pong] = (await once(socket, "data")) as [Buffer];
      expect(pong).toEqual(Buffer.from([0x8a, 3, 0, 0, 0]));
    });
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
    // The events exceed the socket buffers, while one of the readers keeps up.
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
