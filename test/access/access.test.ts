import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { afterEach, describe, expect, it } from "vitest";
import { Access } from "../../src/access/access.ts";
import { configSchema } from "../../src/config/schema.ts";
import { Code } from "../../src/otlp/protocol.ts";
import type { Identity, Keys } from "../../src/store/index.ts";
import { StoreUnavailable } from "../../src/store/index.ts";
import { silent } from "../store/fixtures.ts";

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of undo.splice(0)) await each();
});

const none = { verify: async () => undefined };
const noKeys: Pick<Keys, "verify"> = none;

function access(auth: object, keys = noKeys): Access {
  return new Access(configSchema.parse({ auth }).auth, { keys, sessions: none }, silent);
}

function sender(headers: Record<string, string | string[]> = {}, peer = "192.0.2.7") {
  return { peer, header: (name: string) => headers[name] };
}

const bearer = (credential: string) => sender({ authorization: `Bearer ${credential}` });

describe("without authentication", () => {
  it("everybody may do everything, for the tenant that the header names", async () => {
    const open = access({ tenant_header: "x-tenant" });
    expect(await open.admit(sender(), "admin")).toMatchObject({ tenant: "default", subject: "anonymous" });
    expect((await open.admit(sender({ "x-tenant": "team-7.eu_west" }), "ingest")).tenant).toBe(
      "team-7.eu_west",
    );
    for (const tenant of ["", "a b", "a/b", "é", "a".repeat(65), ["a", "b"]]) {
      await expect(open.admit(sender({ "x-tenant": tenant }), "ingest")).rejects.toMatchObject({
        code: Code.INVALID_ARGUMENT,
        message: expect.stringContaining("x-tenant"),
      });
    }
    expect((await access({}).admit(sender({ "x-tenant": "a" }), "read")).tenant).toBe("default");
  });
});

describe("keys", () => {
  const keys = {
    async verify(secret: string): Promise<Identity | undefined> {
      if (secret === "dlk_away") throw new StoreUnavailable("gone");
      if (secret !== "dlk_good") return undefined;
      return { id: "1", prefix: "dlk_1", tenant: "acme", name: "n", scopes: ["read"] };
    },
  };

  it("stand for a tenant and scopes", async () => {
    const guarded = access({ enabled: true }, keys);
    expect(await guarded.admit(bearer("dlk_good"), "read")).toMatchObject({
      tenant: "acme",
      subject: "dlk_1",
    });
    await expect(guarded.admit(bearer("dlk_good"), "ingest")).rejects.toMatchObject({
      code: Code.PERMISSION_DENIED,
      message: "this needs the scope ingest; the caller has read",
    });
    await expect(guarded.admit(bearer("dlk_bad"), "read")).rejects.toMatchObject({
      code: Code.UNAUTHENTICATED,
    });
    await expect(guarded.admit(sender(), "read")).rejects.toMatchObject({ code: Code.UNAUTHENTICATED });
    await expect(guarded.admit(bearer("dlk_away"), "read")).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
      retryAfterMs: 1_000,
    });
  });
});

describe("a proxy", () => {
  const guarded = access({
    enabled: true,
    tenant_header: "x-tenant",
    trusted_proxies: ["192.0.2.0/24", "2001:db8::1"],
  });

  it("names the tenant, from where it is trusted", async () => {
    const named = { "x-tenant": "acme" };
    for (const peer of ["192.0.2.7", "::ffff:192.0.2.8", "2001:db8::1"]) {
      expect(await guarded.admit(sender(named, peer), "ingest")).toMatchObject({
        tenant: "acme",
        subject: "proxy",
      });
    }
    for (const peer of ["192.0.3.1", "2001:db8::2", "127.0.0.1"]) {
      await expect(guarded.admit(sender(named, peer), "ingest")).rejects.toMatchObject({
        code: Code.UNAUTHENTICATED,
      });
    }
    await expect(guarded.admit(sender(named), "admin")).rejects.toMatchObject({
      code: Code.PERMISSION_DENIED,
    });
    await expect(guarded.admit(sender(), "read")).rejects.toMatchObject({ code: Code.UNAUTHENTICATED });
  });

  it("cannot lend a key to another tenant", async () => {
    const key: Identity = { id: "1", prefix: "dlk_1", tenant: "acme", name: "n", scopes: ["read"] };
    const withKeys = access(
      { enabled: true, tenant_header: "x-tenant", trusted_proxies: ["192.0.2.0/24"] },
      { verify: async () => key },
    );
    const as = (tenant: string) => sender({ authorization: "Bearer dlk_1", "x-tenant": tenant });
    expect((await withKeys.admit(as("acme"), "read")).tenant).toBe("acme");
    await expect(withKeys.admit(as("other"), "read")).rejects.toMatchObject({ code: Code.PERMISSION_DENIED });
  });
});

describe("tokens", () => {
  /** An issuer with a key set and a discovery document, on loopback. */
  async function issuer() {
    const { publicKey, privateKey } = await generateKeyPair("ES256");
    const state = { asked: [] as string[], broken: false };
    const keys = [{ ...(await exportJWK(publicKey)), kid: "one", alg: "ES256", use: "sig" }];
    const server = createServer((request, response) => {
      state.asked.push(request.url!);
      if (state.broken) return response.writeHead(503).end();
      const found = request.url === "/keys" ? { keys } : { issuer: url, jwks_uri: `${url}/keys` };
      return response.setHeader("content-type", "application/json").end(JSON.stringify(found));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    undo.push(() => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const sign = (claims: JWTPayload, { header = {}, key = privateKey } = {}) =>
      new SignJWT({
        iss: url,
        aud: "driftlock",
        sub: "ada",
        exp: Math.floor(Date.now() / 1_000) + 60,
        tenant: "acme",
        scope: "openid driftlock:read driftlock:admin",
        ...claims,
      })
        .setProtectedHeader({ alg: "ES256", kid: "one", ...header })
        .sign(key);
    const guarded = (oidc: object = {}) =>
      access({ enabled: true, oidc: { issuer: url, audience: "driftlock", ...oidc } });
    return { url, state, keys, sign, guarded };
  }

  it("name tenant, scopes and person; the issuer's keys are fetched once", async () => {
    const { sign, guarded, state } = await issuer();
    const checked = guarded();
    for (let i = 0; i < 3; i++) {
      const principal = await checked.admit(bearer(await sign({})), "admin");
      expect(principal).toMatchObject({ tenant: "acme", subject: "user:ada" });
      expect([...principal.scopes]).toEqual(["read", "admin"]);
    }
    expect(state.asked).toEqual(["/.well-known/openid-configuration", "/keys"]);
    const listed = await checked.admit(bearer(await sign({ scope: ["driftlock:ingest"] })), "ingest");
    expect([...listed.scopes]).toEqual(["ingest"]);
  });

  it("that are no good are refused", async () => {
    const { sign, guarded } = await issuer();
    const checked = guarded();
    const { privateKey: strange } = await generateKeyPair("ES256");
    const refused: [string, string, Code?][] = [
      [await sign({ exp: Math.floor(Date.now() / 1_000) - 120 }), "expired"],
      [await sign({ aud: "another" }), "claim aud"],
      [await sign({ iss: "https://elsewhere.example" }), "claim iss"],
      [await sign({ exp: undefined }), "claim exp"],
      [await sign({ sub: undefined }), "claim sub"],
      [await sign({ sub: 7 as never }), "claim sub"],
      [await sign({ sub: "" }), "claim sub"],
      [await sign({}, { key: strange }), "not signed by a key of the issuer"],
      [await sign({}, { header: { kid: "two" } }), "not signed by a key of the issuer"],
      ["eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.", "malformed"],
      ["nonsense", "malformed"],
      [await sign({ tenant: undefined }), "claim tenant", Code.PERMISSION_DENIED],
      [await sign({ tenant: "a/b" }), "claim tenant", Code.PERMISSION_DENIED],
      [await sign({ scope: "read admin" }), "the caller has none", Code.PERMISSION_DENIED],
    ];
    for (const [token, message, code = Code.UNAUTHENTICATED] of refused) {
      await expect(checked.admit(bearer(token), "read"), message).rejects.toMatchObject({
        code,
        message: expect.stringContaining(message),
      });
    }
  });

  it("signed with the public key as if it were a secret are refused", async () => {
    const { sign, guarded, keys } = await issuer();
    const secret = new TextEncoder().encode(JSON.stringify(keys[0]));
    const forged = await sign({}, { header: { alg: "HS256" }, key: secret as never });
    await expect(guarded().admit(bearer(forged), "read")).rejects.toMatchObject({
      code: Code.UNAUTHENTICATED,
    });
  });

  it("are checked later where the issuer is away, by other claims and another prefix where configured", async () => {
    const { url, sign, guarded, state } = await issuer();
    state.broken = true;
    const checked = guarded({
      jwks_url: `${url}/keys`,
      tenant_claim: "org",
      scopes_claim: "roles",
      scope_prefix: "",
    });
    const token = await sign({ org: "acme-2", roles: ["read"] });
    await expect(checked.admit(bearer(token), "read")).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
      retryAfterMs: expect.any(Number),
    });
    state.broken = false;
    expect((await checked.admit(bearer(token), "read")).tenant).toBe("acme-2");
    expect(state.asked).toEqual(["/keys", "/keys"]);
  });
});
