/** Logging in at a real OpenID Connect provider, in a real browser. */
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import Provider from "oidc-provider";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectAccessible, showPage, skipChromium, startBrowser } from "./browser.ts";
import { type Dashboard, startDashboard } from "./dashboard.ts";

const audience = "urn:driftlock";

/** Starts a provider whose users have any name; nobody's tenant is missing, and `bob` may only read. */
async function startProvider() {
  let handle: RequestListener = (_request, response) => response.writeHead(503).end();
  const server = createServer((request, response) => handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    /** Begins to answer, once the address of the dashboard is known. */
    serve(redirectUri: string) {
      const provider = new Provider(issuer, {
        clients: [
          {
            client_id: "dashboard",
            token_endpoint_auth_method: "none",
            redirect_uris: [redirectUri],
            grant_types: ["authorization_code"],
          },
        ],
        scopes: ["openid"],
        pkce: { required: () => true },
        features: {
          resourceIndicators: {
            enabled: true,
            defaultResource: () => audience,
            useGrantedResource: () => true,
            getResourceServerInfo: () => ({
              scope: "driftlock:read driftlock:admin",
              audience,
              accessTokenFormat: "jwt",
            }),
          },
        },
        extraTokenClaims: (_context, token) => {
          const { accountId } = token as { accountId?: string };
          return accountId === "nobody" ? {} : { tenant: "acme" };
        },
        findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
        cookies: { keys: ["test"] },
      });
      handle = provider.callback();
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe.skipIf(skipChromium)("login at an issuer", { timeout: 60_000 }, () => {
  let browser: Browser;
  let provider: Awaited<ReturnType<typeof startProvider>>;
  let dashboard: Dashboard;
  beforeAll(async () => {
    [browser, provider] = await Promise.all([startBrowser(), startProvider()]);
    const login = { client_id: "dashboard", parameters: { resource: audience } };
    dashboard = await startDashboard({
      auth: { enabled: true, oidc: { issuer: provider.issuer, audience, login } },
    });
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await dashboard?.close();
    await provider?.close();
  });

  async function logIn(page: Page, name: string): Promise<void> {
    await page.getByRole("button", { name: `Log in at ${new URL(provider.issuer).host}` }).click();
    await page.locator("input[name=login]").fill(name);
    await page.locator("input[name=password]").fill("any");
    await page.getByRole("button", { name: "Sign-in" }).click();
    await page.getByRole("button", { name: "Continue" }).click();
  }

  it("is offered, and says so while the issuer is away", async () => {
    const page = await showPage(browser, dashboard.url("/"));
    await page.getByRole("button", { name: "Log in at" }).click();
    await page.getByText("the issuer cannot be asked now").waitFor();
    await expectAccessible(page);
    provider.serve(dashboard.url("/login"));
  });

  it("leads back to the page, with the rights of the token and its name in the audit log", async () => {
    const page = await showPage(browser, dashboard.url("/settings?tab=access"));
    await logIn(page, "ann");
    await page.getByText("user:ann").waitFor();
    expect(page.url()).toBe(dashboard.url("/settings?tab=access"));
    await page.getByText("acme").waitFor();
    await page.getByText("decide about it and change settings").waitFor();
    const cookies = (await page.context().cookies(dashboard.api)).filter(({ name }) =>
      name.startsWith("driftlock"),
    );
    expect(cookies).toHaveLength(1);
    expect(cookies[0]).toMatchObject({ httpOnly: true, sameSite: "Strict" });
    expect(await page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }])")).not.toMatch(
      /eyJ|ann/,
    );

    await page.getByRole("button", { name: "Keys", exact: true }).click();
    await page.getByText("New key").click();
    await page.getByLabel("Name").fill("edge");
    await page.getByLabel("send telemetry").check();
    await page.getByRole("button", { name: "Create" }).click();
    await page.getByText(/^dlk_[0-9a-f]{16}_/).waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByRole("button", { name: "Audit log" }).click();
    await page.getByRole("cell", { name: "key.created" }).waitFor();
    await page.getByRole("cell", { name: "user:ann" }).waitFor();

    await page.getByRole("button", { name: "Access" }).click();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("API key").waitFor();
    expect(
      (await page.context().cookies(dashboard.api)).filter(({ name }) => name.startsWith("driftlock")),
    ).toEqual([]);
  });

  it("is refused to whom the issuer gives no tenant, and to whom it refuses", async () => {
    const page = await showPage(browser, dashboard.url("/streams"));
    await logIn(page, "nobody");
    await page.getByText("claim tenant names no tenant").waitFor();
    await page.goto(dashboard.url("/login?error=access_denied&error_description=Go+away"));
    await page.getByText("the issuer refuses the login: Go away").waitFor();
    expect(new URL(page.url()).search).toBe("");
  });

  it("is refused for an answer that this browser has not asked for, or that is used twice", async () => {
    const post = (body: object, headers: Record<string, string> = {}) =>
      fetch(dashboard.url("/v1/session"), {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
      });
    const redirect_uri = dashboard.url("/login");
    const stolen = { code: "abc", state: "def", redirect_uri };
    const without = await post(stolen);
    expect(without.status).toBe(401);
    expect(await without.text()).toContain("this browser has begun no login");

    const begun = await fetch(dashboard.url("/v1/login"), {
      method: "POST",
      headers: { "content-type": "application/json", origin: dashboard.api },
      body: JSON.stringify({ redirect_uri }),
    });
    expect(begun.status).toBe(201);
    const { url } = (await begun.json()) as { url: string };
    const asked = new URL(url).searchParams;
    expect(asked.get("code_challenge_method")).toBe("S256");
    const [cookie] = begun.headers.getSetCookie();
    expect(cookie).toMatch(/HttpOnly; SameSite=Strict$/);
    const own = { cookie: cookie!.split(";", 1)[0]! };
    const iss = provider.issuer;
    expect((await post({ ...stolen, iss }, own)).status).toBe(401);
    const unknown = await post({ ...stolen, iss, state: asked.get("state")! }, own);
    expect(unknown.status).toBe(401);
    expect(await unknown.text()).toContain("the issuer refuses the login");

    const elsewhere = await fetch(dashboard.url("/v1/login"), {
      method: "POST",
      headers: { "content-type": "application/json", origin: dashboard.api },
      body: JSON.stringify({ redirect_uri: "https://evil.example/login" }),
    });
    expect(elsewhere.status).toBe(400);
  });
});
