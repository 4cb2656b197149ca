/** API keys as an administrator of a tenant manages them. */
import { beforeEach, describe, expect, it } from "vitest";
import { keyOf, problemOf, type Running, start } from "./support.ts";

let running: Running;
let admin: { authorization: string };
beforeEach(async () => {
  running = await start({ auth: { enabled: true } });
  admin = await keyOf(running, "acme", "admin");
});

const send = (path: string, method: string, body?: unknown, headers: Record<string, string> = admin) =>
  running.get(path, {
    method,
    headers: { ...headers, ...(body !== undefined && { "content-type": "application/json" }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });

interface Key {
  id: string;
  prefix: string;
  state: string;
  expires_at: string | null;
}
const list = async (headers = admin) =>
  ((await (await running.get("/v1/keys", { headers })).json()) as { items: Key[] }).items;

const input = { name: "edge", scopes: ["ingest"], expires_at: null };
const works = async (secret: string) =>
  (await running.get("/v1/session", { headers: { authorization: `Bearer ${secret}` } })).status === 200;

describe("keys", () => {
  it("are created, listed without their secret, rotated and revoked, which the audit log has", async () => {
    const made = await send("/v1/keys", "POST", { ...input, scopes: ["read", "ingest", "read"] });
    expect(made.status).toBe(201);
    const { secret, key } = (await made.json()) as { secret: string; key: Key };
    expect(secret).toMatch(/^dlk_[0-9a-f]{16}_[\w-]{43}$/);
    expect(key).toMatchObject({ name: "edge", scopes: ["ingest", "read"], state: "valid", expires_at: null });
    expect(await works(secret)).toBe(true);
    const listed = await list();
    expect(listed).toHaveLength(2);
    expect(listed.find(({ id }) => id === key.id)).toMatchObject({ prefix: `dlk_${key.id}`, state: "valid" });
    expect(JSON.stringify(listed)).not.toContain(secret.slice(22));

    const rotated = await send(`/v1/keys/${key.id}/rotate`, "POST", { grace_hours: 0 });
    expect(rotated.status).toBe(201);
    const next = (await rotated.json()) as { secret: string; key: Key };
    expect(next.key).toMatchObject({ name: "edge", scopes: ["ingest", "read"] });
    expect(await works(secret)).toBe(false);
    expect(await works(next.secret)).toBe(true);
    expect((await send(`/v1/keys/${key.id}/rotate`, "POST", {})).status).toBe(400);

    const revoked = await send(`/v1/keys/${next.key.id}`, "DELETE");
    expect(await revoked.json()).toMatchObject({ state: "revoked", revoked_at: expect.stringMatching(/Z$/) });
    expect(await works(next.secret)).toBe(false);
    expect((await list()).map(({ state }) => state).sort()).toEqual(["expired", "revoked", "valid"]);
    const entries = (await running.store.audit.list("acme")).items.filter(({ actor }) => actor !== "test");
    const actor = admin.authorization.slice("Bearer ".length, "Bearer ".length + 20);
    expect(entries.map((entry) => [entry.action, entry.actor])).toEqual([
      ["key.revoked", actor],
      ["key.rotated", actor],
      ["key.created", actor],
      ["key.created", actor],
    ]);
  });

  it("belong to the tenant, and to its administrators", async () => {
    const { key } = (await (await send("/v1/keys", "POST", input)).json()) as { key: Key };
    const other = await keyOf(running, "rival", "admin");
    expect((await list(other)).map(({ id }) => id)).not.toContain(key.id);
    for (const [path, method, body] of [
      [`/v1/keys/${key.id}`, "DELETE", undefined],
      [`/v1/keys/${key.id}/rotate`, "POST", {}],
    ] as const) {
      expect((await send(path, method, body, other)).status).toBe(404);
    }
    const reader = await keyOf(running, "acme", "read", "ingest");
    expect((await running.get("/v1/keys", { headers: reader })).status).toBe(403);
    expect((await send("/v1/keys", "POST", input, reader)).status).toBe(403);
    expect((await send(`/v1/keys/${key.id}`, "DELETE", undefined, reader)).status).toBe(403);
  });

  it.each([
    [{ ...input, name: "" }, "name"],
    [{ ...input, scopes: [] }, "scopes"],
    [{ ...input, scopes: ["root"] }, "scopes"],
    [{ ...input, expires_at: "2001-01-31T12:00:00Z" }, "expires_at"],
    [{ ...input, expires_at: "2999-01-31T12:00:00Z" }, "expires_at"],
    [{ name: "edge", scopes: ["read"] }, "expires_at"],
    [{ ...input, tenant: "rival" }, "tenant"],
  ])("are refused with the field: %j", async (body, field) => {
    const refused = await send("/v1/keys", "POST", body);
    expect(refused.status).toBe(400);
    expect(JSON.stringify(await problemOf(refused))).toContain(field);
    expect(await list()).toHaveLength(1);
  });
});
