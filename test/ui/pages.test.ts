/** Streams, the system and the settings. */
import type { Browser, BrowserContextOptions } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startReceiver } from "../notify/receiver.ts";
import { expectAccessible, looks, showPage, skipChromium, startBrowser } from "./browser.ts";
import { type Dashboard, startDashboard } from "./dashboard.ts";

describe.skipIf(skipChromium)("the other pages", { timeout: 60_000 }, () => {
  let browser: Browser;
  let dashboard: Dashboard;
  let receiver: Awaited<ReturnType<typeof startReceiver>>;
  beforeAll(async () => {
    process.env.DRIFTLOCK_TEST_HOOK = Buffer.alloc(32, 7).toString("base64");
    receiver = await startReceiver((_request, i) => ({ status: i === 0 ? 400 : 202 }));
    const hook = { name: "ops", url: receiver.url, secret: { env: "DRIFTLOCK_TEST_HOOK" } };
    [browser, dashboard] = await Promise.all([
      startBrowser(),
      startDashboard({ notify: { webhook: [hook] } }),
    ]);
    await dashboard.sendStrange();
    while ((await streams()).length === 0) await new Promise((resolve) => setTimeout(resolve, 100));
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await dashboard?.close();
    await receiver?.close();
    delete process.env.DRIFTLOCK_TEST_HOOK;
  });

  const streams = async () =>
    (await dashboard.get<{ items: { id: string; key: string }[] }>("/v1/streams")).items;

  const show = (path: string, options?: BrowserContextOptions) =>
    showPage(browser, dashboard.url(path), options);

  it.each(looks)("have no findings of axe %s", async (_name, options) => {
    const page = await show("/streams", options);
    await page.locator(".list .rows .row").first().waitFor();
    await expectAccessible(page);
    await page.locator(".list .rows .row a").first().click();
    await page.locator(".chart canvas").nth(1).waitFor();
    await expectAccessible(page);
    await page.getByRole("link", { name: "System", exact: true }).click();
    await page.getByRole("heading", { name: "Versions" }).waitFor();
    await page.getByRole("heading", { name: "Throughput" }).waitFor();
    await expectAccessible(page);
    await page.getByRole("link", { name: "Settings", exact: true }).click();
    for (const tab of ["Silences", "Policies", "Notifications", "Keys", "Access", "Audit log"]) {
      await page.getByRole("button", { name: tab, exact: true }).click();
      await page.locator("section.card").first().waitFor();
      await expectAccessible(page);
    }
  });

  it("lead from a stream to its anomalies, by the keyboard alone", async () => {
    const page = await show("/streams");
    await page.locator(".list .rows .row").first().waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    const [stream] = await streams();
    await page.getByRole("heading", { name: stream!.key }).waitFor();
    await page.getByText("new to this stream").first().waitFor();
  });

  it("silence anomalies for a time, and end that early", async () => {
    const page = await show("/settings");
    await page.getByText("New silence").click();
    await page.getByLabel("Service").fill("till");
    await page.getByLabel("volume").check();
    await page.getByLabel("Reason").fill("the load test");
    await expectAccessible(page);
    await page.getByRole("button", { name: "Silence", exact: true }).click();
    const row = page.locator("tbody tr").filter({ hasText: "the load test" });
    await row.getByText("Active").waitFor();
    const { items } = await dashboard.get<{ items: object[] }>("/v1/silences");
    expect(items).toMatchObject([
      { match: { service: "till", channels: ["volume"] }, reason: "the load test" },
    ]);
    await row.getByRole("button", { name: "End now" }).click();
    await row.getByText("Ended").waitFor();
  });

  it("send a test to a channel, and say what its receiver answers", async () => {
    const page = await show("/settings?tab=notifications");
    await page.getByText("No message about an incident was due yet").waitFor();
    await page.getByRole("button", { name: "Send a test" }).click();
    await page.getByText("ops has not accepted the test").waitFor();
    await page.getByRole("button", { name: "Send a test" }).click();
    await page.getByText("ops has accepted the test").waitFor();
    expect(receiver.arrived.at(-1)!.text).toContain("This is a test by anonymous");
    await page.getByRole("button", { name: "Audit log" }).click();
    await page.getByRole("cell", { name: "notification.tested" }).first().waitFor();
  });

  it("create a key, which is shown once, replace it and revoke it after asking", async () => {
    const page = await show("/settings?tab=keys");
    await page.getByText("There is none.").waitFor();
    await page.getByText("New key").click();
    await page.getByLabel("Name").fill("edge");
    await page.getByRole("button", { name: "Create" }).click();
    await page.getByText("scopes:").waitFor();
    await page.getByLabel("send telemetry").check();
    await page.getByLabel("Valid for").selectOption("90 days");
    await page.getByRole("button", { name: "Create" }).click();
    const shown = page.locator(".secret");
    const secret = await shown.textContent();
    expect(secret).toMatch(/^dlk_[0-9a-f]{16}_[\w-]{43}$/);
    await expectAccessible(page);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Replace" }).click();
    await page.getByText("stays valid for 24 hours").waitFor();
    await page.locator("dialog").getByRole("button", { name: "Replace" }).click();
    await expect.poll(() => shown.textContent()).not.toBe(secret);
    await page.getByRole("button", { name: "Close" }).click();
    const valid = page.getByText("Valid", { exact: true });
    await expect.poll(() => valid.count()).toBe(2);
    await page.getByRole("button", { name: "Revoke" }).first().click();
    await page.getByRole("button", { name: "Cancel" }).click();
    expect(await valid.count()).toBe(2);
    await page.getByRole("button", { name: "Revoke" }).first().click();
    await page.locator("dialog").getByRole("button", { name: "Revoke" }).click();
    await page.getByText("Revoked", { exact: true }).waitFor();
    expect(await page.content()).not.toContain(secret!);
    await page.getByRole("button", { name: "Audit log" }).click();
    for (const action of ["key.created", "key.rotated", "key.revoked"]) {
      await page.getByRole("cell", { name: action }).first().waitFor();
    }
  });

  it("replace policies, and say which field of one is wrong", async () => {
    const page = await show("/settings?tab=policies");
    await page.getByRole("button", { name: "Edit" }).click();
    const text = page.getByLabel("The list of policies as JSON");
    await text.fill('[{"match": {"service": "till"}, "bugdet": 3}]');
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("did you mean budget?").waitFor();
    await text.fill('[{"match": {"service": "till"}, "budget": 3}]');
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("at most 3 alarms per day and stream").waitFor();
    await page.getByRole("button", { name: "Audit log" }).click();
    await page.getByText("policies.").first().waitFor();
  });

  it("say that there is no such page, and what does not exist", async () => {
    const page = await show("/nothing");
    await page.getByText("There is no such page").waitFor();
    await page.goto(dashboard.url("/anomalies/00000000000000000000000000000000"));
    await page.getByText("there is no anomaly with this id").waitFor();
    await expectAccessible(page);
  });

  it("say that Driftlock does not answer, and go on when it does", async () => {
    const page = await show("/streams");
    await page.locator(".list .rows .row").first().waitFor();
    await page.context().setOffline(true);
    await page.getByText("Driftlock does not answer").waitFor();
    expect(await page.locator(".list .rows .row").count()).toBeGreaterThan(0);
    await expectAccessible(page);
    await page.context().setOffline(false);
    await page.getByText("Driftlock does not answer").waitFor({ state: "detached" });
  });
});
