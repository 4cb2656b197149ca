/** Evidence is made, listed and read in the dashboard, and reports to authorities are filled in. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BundleJson } from "../../src/api/evidence.ts";
import type { IncidentReportsJson } from "../../src/api/reports.ts";
import type { IncidentJson } from "../../src/json/incident-schema.ts";
import { expectAccessible, looks, showPage, skipChromium, startBrowser } from "./browser.ts";
import { type Dashboard, startDashboard } from "./dashboard.ts";

describe.skipIf(skipChromium)("evidence and reports", { timeout: 90_000 }, () => {
  let browser: Browser;
  let dashboard: Dashboard;
  let incident: string;
  beforeAll(async () => {
    [browser, dashboard] = await Promise.all([startBrowser(), startDashboard()]);
    await dashboard.sendFault();
    const incidents = async () => (await dashboard.get<{ items: IncidentJson[] }>("/v1/incidents")).items;
    while ((await incidents()).length === 0) await sleep(100);
    incident = (await incidents()).at(-1)!.id;
  }, 90_000);
  afterAll(async () => {
    await browser?.close();
    await dashboard?.close();
  });

  const show = (path: string, options?: BrowserContextOptions) =>
    showPage(browser, dashboard.url(path), options);
  const bundles = async () => (await dashboard.get<{ items: BundleJson[] }>("/v1/evidence")).items;

  it("are made from an incident, with a note, and listed", async () => {
    const page = await show("/evidence");
    await page.getByText("No bundle has been made yet").waitFor();
    await expectAccessible(page);
    await page.goto(dashboard.url(`/incidents/${incident}`));
    await page.getByRole("button", { name: "Make evidence" }).click();
    await page.getByLabel("Note").fill("for the auditor");
    await expectAccessible(page);
    await page.getByRole("button", { name: "Make it" }).click();
    await page.getByRole("heading", { name: "What it is" }).waitFor();
    const [made] = await bundles();
    expect(new URL(page.url()).pathname).toBe(`/evidence/${made!.id}`);
    const audit = await dashboard.get<{ items: object[] }>("/v1/audit");
    expect(audit.items[0]).toMatchObject({ action: "evidence.created", detail: { note: "for the auditor" } });
    const href = await page.getByRole("link", { name: "Download as PDF" }).getAttribute("href");
    expect((await fetch(dashboard.api + href!)).headers.get("content-type")).toBe("application/pdf");
    await page.goto(dashboard.url("/evidence?author=nobody"));
    await page.getByText("No bundle matches the filters").waitFor();
    await page.getByRole("button", { name: "Show all bundles" }).click();
    await page.locator("tbody tr").getByRole("link").waitFor();
  });

  it.each(looks)("have no findings of axe %s", async (_name, options) => {
    const page = await show("/evidence", options);
    await page.locator("tbody tr").getByRole("link").waitFor();
    await expectAccessible(page);
    await page.locator("tbody tr").getByRole("link").click();
    await page.getByRole("heading", { name: "What it is" }).waitFor();
    await expectAccessible(page);
    await page.goto(dashboard.url(`/incidents/${incident}/reports`));
    await page.getByRole("link", { name: /initial notification/ }).waitFor();
    await expectAccessible(page);
    await page.getByRole("link", { name: /initial notification/ }).click();
    await page.getByLabel("2.5 Criteria").waitFor();
    await page.getByLabel("2.5 Criteria").fill("x");
    await expectAccessible(page);
  });

  it("are due by the times that people enter, in the zone that is shown", async () => {
    const page = await show(`/incidents/${incident}/reports`);
    await page.getByLabel("became aware").fill("2026-01-31T13:10:00");
    await page.getByLabel("classified as major").fill("2026-01-31T14:00:00");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("due times count from them").waitFor();
    const { moments } = await dashboard.get<IncidentReportsJson>(`/v1/incidents/${incident}/reports`);
    expect(moments).toEqual({ aware: "2026-01-31T12:10:00Z", classified: "2026-01-31T13:00:00Z" });
    const row = page.getByRole("row").filter({ hasText: "DORA: initial notification" });
    await row.getByText("Overdue").waitFor();
    await row.getByRole("link").click();
    await page.getByLabel("It was submitted at").fill("2026-01-31T15:00:00");
    await page.getByRole("button", { name: "Add" }).click();
    await page.locator(".facts").getByText("Submitted").waitFor();
  });

  it("take fields by their types, and replace what is observed only on request", async () => {
    const page = await show(`/incidents/${incident}/reports?template=dora-initial`);
    await page.getByLabel("2.6 Geographical spread").fill("DE\nFR");
    await page.getByLabel("2.9 Business continuity plan").selectOption("yes");
    await page.getByText(incident, { exact: true }).waitFor();
    await page.getByRole("button", { name: "Replace: Reference code given by the entity" }).click();
    await page.getByLabel("2.1 Reference code").fill("ours-17");
    await page.getByRole("button", { name: "Replace: Time of detection" }).click();
    await page.getByRole("button", { name: "Undo: Time of detection" }).click();
    await page.getByRole("button", { name: "Save 3 fields" }).click();
    await page.getByText("3 fields saved").waitFor();
    await page.getByText(`instead of “${incident}”`).waitFor();
    const { fields } = await dashboard.get<IncidentReportsJson>(`/v1/incidents/${incident}/reports`);
    expect(fields).toMatchObject({
      "dora-initial": {
        "2.1": { value: "ours-17" },
        "2.6": { value: ["DE", "FR"] },
        "2.9": { value: "yes" },
      },
    });
    await page.goto(dashboard.url(`/incidents/${incident}/reports?template=dora-final`));
    await page.getByLabel("4.13 Gross costs").fill("much");
    await page.getByRole("button", { name: "Save 1 field" }).click();
    await page.getByText("must be a number, such as 12000.50").waitFor();
    expect(await page.evaluate("document.activeElement.id")).toBe("field-4.13");
  });

  it("stay in sight when Driftlock does not answer", async () => {
    const page = await show("/evidence");
    await page.locator("tbody tr").getByRole("link").waitFor();
    await page.context().setOffline(true);
    await page.getByText("Driftlock does not answer").waitFor();
    expect(await page.locator("tbody tr").count()).toBeGreaterThan(0);
    await expectAccessible(page);
  });
});
