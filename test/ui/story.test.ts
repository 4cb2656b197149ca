/** What a newcomer does with `make run`: its latency fault becomes one incident, which is opened, understood and acknowledged. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { alarmsPerGroup, plan, rate } from "../../scripts/demo-plan.ts";
import { showPage, skipChromium, startBrowser } from "./browser.ts";
import { type Dashboard, generate, startDashboard } from "./dashboard.ts";

/** How many times as fast as in the demo the telemetry is sent. */
const speed = 30;

describe.skipIf(skipChromium)("the latency fault of the demo", { timeout: 120_000 }, () => {
  let browser: Browser;
  let dashboard: Dashboard;
  beforeAll(async () => {
    const budget = { per_group_per_day: alarmsPerGroup };
    [browser, dashboard] = await Promise.all([startBrowser(), startDashboard({ detect: { budget } })]);
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await dashboard?.close();
  });

  it("appears as one incident, is opened, its cause is read, and it is acknowledged", async () => {
    const [latency, next] = plan;
    expect(latency!.name).toBe("latency");
    const page = await showPage(browser, dashboard.url("/"));
    await page.getByText("No incident is open").first().waitFor();
    await generate(
      dashboard.sidecar,
      ...["--speed", String(speed), "--rate", String(speed * rate), "--duration", `${next!.start}s`],
      ...["--start", new Date(Date.now() - 1_000 * next!.start).toISOString()],
      ...["--anomaly", `latency@${latency!.start}s+${latency!.seconds}s`],
    );

    await page.getByRole("heading", { name: "1 incident is open" }).waitFor({ timeout: 30_000 });
    const incident = page.locator(".incident");
    expect(await incident.count()).toBe(1);
    await incident.getByText("Likely cause stock").waitFor();
    await incident.getByRole("link").click();

    const cause = page.locator(".ranking > li").first();
    await cause.getByText("stock", { exact: true }).waitFor();
    await cause.getByText("SELECT stock").first().waitFor();
    await cause.getByText(/It took [\d.,]+ m?s more of its own than usual/).waitFor();
    await page.getByText("likely cause", { exact: true }).waitFor();

    await page.getByRole("button", { name: "Acknowledge" }).click();
    await page.getByLabel("Note").fill("the index of stock is being rebuilt");
    await page.getByRole("dialog").getByRole("button", { name: "Acknowledge" }).click();
    await page.locator(".toast").getByRole("button", { name: "Close" }).click();
    await page.locator(".timeline .person").getByText("the index of stock is being rebuilt").waitFor();

    await page.getByRole("link", { name: "Settings", exact: true }).click();
    await page.getByRole("button", { name: "Audit log" }).click();
    const entry = page.getByRole("row").filter({ hasText: "incident.acknowledged" });
    await entry.getByText("the index of stock is being rebuilt").waitFor();
    await entry.getByText("anonymous").waitFor();
    await entry.getByRole("link").click();
    await page.locator(".facts .state").getByText("Acknowledged").waitFor();
    await page.getByRole("link", { name: "Incidents", exact: true }).first().click();
    await incident.getByText("Acknowledged").waitFor();
    await expect.poll(() => page.locator(".badge").count()).toBe(0);
  });
});
