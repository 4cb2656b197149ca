/** Logging in and out, what a reader may do, and a dashboard below a path of a proxy. */
import { createServer, request as forward } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { driftlock } from "../cli/driftlock.ts";
import { expectAccessible, showPage, skipChromium, startBrowser } from "./browser.ts";
import { type Dashboard, startDashboard } from "./dashboard.ts";

/** Starts a proxy that serves another server below a path. @returns its URL with the path */
async function startProxy(target: string, prefix: string): Promise<string> {
  const server = createServer((request, response) => {
    if (!request.url!.startsWith(`${prefix}/`)) {
      response.writeHead(404).end();
      return;
    }
    const { method, headers } = request;
    const passed = forward(target + request.url!.slice(prefix.length), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    passed.on("error", () => response.destroy());
    response.on("close", () => passed.destroy());
    request.pipe(passed);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}${prefix}`;
}

describe.skipIf(skipChromium)("access", { timeout: 60_000 }, () => {
  let browser: Browser;
  let dashboard: Dashboard;
  beforeAll(async () => {
    [browser, dashboard] = await Promise.all([startBrowser(), startDashboard({ auth: { enabled: true } })]);
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await dashboard?.close();
  });

  const show = (url: string) => showPage(browser, url);

  async function keyWith(scopes: string, { dataDir } = dashboard): Promise<string> {
    const args = ["--name", "ann", "--scopes", scopes, "--data_dir", dataDir];
    const { out, err } = await driftlock(["keys", "create", ...args]);
    if (!out.startsWith("dlk_")) throw new Error(err);
    return out.trim();
  }

  async function logIn(page: Page, key: string): Promise<void> {
    await page.getByLabel("API key").fill(key);
    await page.getByRole("button", { name: "Log in" }).click();
  }

  it("is asked for, given for a key, and leads back to the page", async () => {
    const page = await show(dashboard.url("/streams?signal=logs"));
    await page.getByLabel("API key").waitFor();
    await expectAccessible(page);
    await logIn(page, "dlk_0123456789abcdef_no");
    await page.getByText("the API key is unknown").waitFor();
    await logIn(page, await keyWith("read,admin"));
    await page.getByText("No stream matches all filters").waitFor();
    expect(new URL(page.url()).pathname + new URL(page.url()).search).toBe("/streams?signal=logs");
    const [cookie] = await page.context().cookies();
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict" });
    expect(await page.evaluate("JSON.stringify({ ...localStorage })")).not.toContain("dlk_");
    await page.goto(dashboard.url("/settings?tab=access"));
    await page.getByText("change settings").waitFor();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("API key").waitFor();
    expect(await page.context().cookies()).toEqual([]);
  });

  it("is asked for again once the session is over, and leads back to the page", async () => {
    const key = await keyWith("read");
    const page = await show(dashboard.url("/streams"));
    await logIn(page, key);
    await page.getByText("No telemetry has arrived yet").waitFor();
    await page.context().clearCookies();
    await page.getByRole("link", { name: "System" }).click();
    await page.getByLabel("API key").waitFor();
    await logIn(page, key);
    await page.getByRole("heading", { name: "Versions" }).waitFor();
    expect(new URL(page.url()).pathname).toBe("/system");
  });

  it("of a reader shows nothing that a reader may not do", async () => {
    const page = await show(dashboard.url("/settings"));
    await logIn(page, await keyWith("read"));
    await page.getByRole("heading", { name: "Silences" }).waitFor();
    await page.getByRole("button", { name: "Access" }).click();
    await page.getByText("read what was found").waitFor();
    await page.getByRole("button", { name: "Silences" }).click();
    expect(await page.getByText("New silence").count()).toBe(0);
    await page.getByRole("button", { name: "Audit log" }).click();
    await page.getByText("Not permitted").waitFor();
    await expectAccessible(page);
  });

  it("of two Driftlocks on one host does not end the other's", async () => {
    const second = await startDashboard({ auth: { enabled: true } });
    onTestFinished(() => second.close());
    const page = await show(dashboard.url("/streams"));
    await logIn(page, await keyWith("read"));
    await page.getByText("No telemetry has arrived yet").waitFor();
    await page.goto(second.url("/streams"));
    await logIn(page, await keyWith("read", second));
    await page.getByText("No telemetry has arrived yet").waitFor();
    await page.goto(dashboard.url("/system"));
    await page.getByRole("heading", { name: "Versions" }).waitFor();
  });

  it("never leads to another place after logging in", async () => {
    const page = await show(dashboard.url("/login?next=//example.com/"));
    await logIn(page, await keyWith("read"));
    await expect.poll(() => page.url()).toBe(dashboard.url("/"));
  });

  it("works below a path of a proxy, as do links, pages and live events", async () => {
    const base = await startProxy(dashboard.api, "/tools/driftlock");
    const page = await show(`${base}/streams`);
    await logIn(page, await keyWith("read,admin"));
    await page.getByText("No telemetry has arrived yet").waitFor();
    expect(page.url()).toBe(`${base}/streams`);
    await page.getByRole("link", { name: "Incidents" }).click();
    await expect.poll(() => page.url()).toBe(`${base}/`);
    await page.locator(".live.live").waitFor();
    await page.goto(`${base}/settings?tab=policies`);
    await page.getByText("There are no policies").waitFor();
    await page.reload();
    await page.getByText("There are no policies").waitFor();
  });
});
