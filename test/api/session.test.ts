import { request as plainRequest } from "node:http";
import { beforeEach, describe, expect, it } from "vitest";
import { id, report } from "../store/fixtures.ts";
import { keyOf, problemOf, type Running, start } from "./support.ts";

let running: Running;
let own: string;
beforeEach(async () => {
  running = await start({ auth: { enabled: true } });
  own = `http://${running.api.address}`;
});

const json = { "content-type": "application/json" };

/** The header of a cookie that a browser sends back. */
function cookieOf(response: Response): { cookie: string } {
  return { cookie: response.headers.getSetCookie()[0]!.split(";", 1)[0]! };
}

async function logIn(key: string, headers: Record<string, string> = {}): Promise<Response> {
  return running.get("/v1/session", {
    method: "POST",
    headers: { ...json, ...headers },
    body: JSON.stringify({ key }),
  });
}

async function keyFor(...scopes: ("ingest" | "read" | "admin")[]): Promise<string> {
  return (await keyOf(running, "acme", ...scopes)).authorization.replace("Bearer ", "");
}

describe("a session", () => {
  it("stands for a key, in a cookie that no script and no other site can use", async () => {
    const key = await keyFor("read");
    const response = await logIn(key, { origin: own });
    expect(response.status).toBe(201);
    const session = (await response.json()) as { expires_at: string };
    expect(session).toEqual({
      tenant: "acme",
      subject: key.slice(0, 20),
      scopes: ["read"],
      expires_at: expect.stringMatching(/Z$/),
    });
    expect(Date.parse(session.expires_at) - Date.now()).toBeGreaterThan(11 * 3_600_000);
    expect(response.headers.getSetCookie()).toEqual([
      expect.stringMatching(
        /^driftlock_session_\d+=dls_[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/,
      ),
    ]);
    expect(await (await running.get("/v1/session", { headers: cookieOf(response) })).json()).toEqual(session);
    expect((await running.get("/v1/anomalies", { headers: cookieOf(response) })).status).toBe(200);
    const other = await running.get("/v1/anomalies", {
      headers: { cookie: `a=b; theme=dark; ${cookieOf(response).cookie}` },
    });
    expect(other.status).toBe(200);
    // What the store has cannot be used in place of the secret.
    expect(JSON.stringify(await running.store.keys.list("acme"))).not.toContain("dls_");
  });

  it.each([
    ["origin", () => `https://${running.api.address}`],
    ["x-forwarded-proto", () => "https"],
  ])("has a secure cookie if the page came over TLS, as %s says", async (name, value) => {
    const response = await logIn(await keyFor("read"), { [name]: value() });
    expect(response.headers.getSetCookie()[0]).toMatch(/^__Host-driftlock_session_\d+=.*; Secure$/);
    expect((await running.get("/v1/anomalies", { headers: cookieOf(response) })).status).toBe(200);
  });

  it("changes something from the API's own pages alone", async () => {
    await running.store.anomalies.record([report({ tenant: "acme", id: id(1) })]);
    const key = await keyFor("admin");
    const cookie = cookieOf(await logIn(key));
    const change = (headers: Record<string, string>) =>
      running.get(`/v1/anomalies/${id(1)}`, {
        method: "PATCH",
        headers: { ...json, ...headers },
        body: '{"state": "acknowledged"}',
      });
    const others: Record<string, string>[] = [
      {},
      { origin: "http://127.0.0.1:1" },
      { origin: "null" },
      { origin: "https://evil.example", "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
    ];
    for (const headers of others) {
      const refused = await change({ ...cookie, ...headers });
      expect(refused.status, JSON.stringify(headers)).toBe(403);
      expect((await problemOf(refused)).detail).toContain("own origin");
    }
    const changed = await change({ ...cookie, origin: own });
    expect(changed.status).toBe(200);
    const { events } = (await changed.json()) as { events: { author: string }[] };
    expect(events.map(({ author }) => author)).toEqual([key.slice(0, 20)]);
    // Behind a proxy that changes the host, the browser says it.
    const proxied = { origin: "https://ops.example", "sec-fetch-site": "same-origin" };
    expect((await change({ ...cookie, ...proxied })).status).toBe(200);
    // A key needs no page.
    expect((await change({ authorization: `Bearer ${key}`, origin: "https://evil.example" })).status).toBe(
      200,
    );
  });

  it("begins with a key that may read, from no other site", async () => {
    expect((await logIn("dlk_0123456789abcdef_nothing")).status).toBe(401);
    expect((await logIn(await keyFor("ingest"))).status).toBe(403);
    expect((await logIn("")).status).toBe(400);
    const elsewhere = await logIn(await keyFor("read"), { origin: "https://evil.example" });
    expect(elsewhere.status).toBe(403);
    expect(elsewhere.headers.getSetCookie()).toEqual([]);
    const text = await running.get("/v1/session", { method: "POST", body: '{"key":"x"}' });
    expect(text.status).toBe(415);
  });

  it("ends when its user logs out", async () => {
    const cookie = cookieOf(await logIn(await keyFor("read")));
    const elsewhere = { ...cookie, origin: "https://evil.example" };
    expect((await running.get("/v1/session", { method: "DELETE", headers: elsewhere })).status).toBe(403);
    const ended = await running.get("/v1/session", { method: "DELETE", headers: { ...cookie, origin: own } });
    expect(ended.status).toBe(204);
    expect(ended.headers.getSetCookie()[0]).toMatch(/^driftlock_session_\d+=; Path=\/; Max-Age=0; /);
    const refused = await running.get("/v1/session", { headers: cookie });
    expect(refused.status).toBe(401);
    expect((await problemOf(refused)).detail).toContain("log in again");
    expect((await running.get("/v1/session", { method: "DELETE" })).status).toBe(204);
  });

  it("ends with its time and with its key", async () => {
    const cookie = cookieOf(await logIn(await keyFor("read")));
    running.advance(13 * 3_600_000);
    expect((await running.get("/v1/session", { headers: cookie })).status).toBe(401);
    const key = await keyFor("read");
    const other = cookieOf(await logIn(key));
    await running.store.keys.revoke("acme", key.slice(4, 20), "test");
    expect((await running.get("/v1/session", { headers: other })).status).toBe(401);
  });

  it("is not longer than its key", async () => {
    const { store } = running;
    const expiresAt = Date.now() + 60_000;
    const { secret } = await store.keys.create("acme", { name: "k", scopes: ["read"], expiresAt }, "test");
    const session = (await (await logIn(secret)).json()) as { expires_at: string };
    expect(session.expires_at).toBe(new Date(expiresAt).toISOString());
  });

  it("is no way to send records, nor past the tenant's header", async () => {
    const cookie = cookieOf(await logIn(await keyFor("read")));
    const events = await running.get("/v1/events", {
      method: "POST",
      headers: { ...cookie, ...json, origin: own },
      body: '{"body": "x"}',
    });
    expect(events.status).toBe(403);
  });

  it("opens live events, over WebSocket from the API's own pages alone", async () => {
    const cookie = cookieOf(await logIn(await keyFor("read")));
    const sse = await fetch(running.url("/v1/stream/anomalies"), { headers: cookie });
    expect(sse.status).toBe(200);
    await sse.body!.cancel();
    const statusOf = (origin: string) =>
      new Promise((resolve, reject) => {
        const { hostname, port } = new URL(own);
        const upgrade = plainRequest({
          hostname,
          port,
          path: "/v1/stream/anomalies",
          headers: {
            ...cookie,
            origin,
            connection: "upgrade",
            upgrade: "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
          },
        });
        upgrade.on("upgrade", (_, socket) => {
          socket.destroy();
          resolve(101);
        });
        upgrade.on("response", (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        });
        upgrade.on("error", reject);
        upgrade.end();
      });
    expect(await statusOf(own)).toBe(101);
    expect(await statusOf("https://evil.example")).toBe(403);
  });
});

describe("without authentication", () => {
  it("nobody needs a session", async () => {
    const open = await start();
    expect(await (await open.get("/v1/session")).json()).toEqual({
      tenant: "default",
      subject: "anonymous",
      scopes: ["ingest", "read", "admin"],
      expires_at: null,
    });
  });
});
