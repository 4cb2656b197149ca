/** Incidents, from the empty front page to the decision about one. */
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { IncidentDetailJson, IncidentJson } from "../../src/json/incident-schema.ts";
import { expectAccessible, looks, showPage, skipChromium, startBrowser } from "./browser.ts";
import { type Dashboard, startDashboard } from "./dashboard.ts";

describe.skipIf(skipChromium)("incidents", { timeout: 90_000 }, () => {
  let browser: Browser;
  let dashboard: Dashboard;
  beforeAll(async () => {
    [browser, dashboard] = await Promise.all([startBrowser(), startDashboard()]);
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await dashboard?.close();
  });

  const show = (path: string, options?: BrowserContextOptions) =>
    showPage(browser, dashboard.url(path), options);

  const incidents = async () => (await dashboard.get<{ items: IncidentJson[] }>("/v1/incidents")).items;
  const detail = (id: string) => dashboard.get<IncidentDetailJson>(`/v1/incidents/${id}`);
  const entries = (page: Page) => page.locator(".incident");

  it("appear on the front page by themselves, which says before how to send something", async () => {
    const page = await show("/");
    await page.getByText("No telemetry has arrived yet").waitFor();
    await expectAccessible(page);
    await page.locator(".live.live").waitFor();
    await dashboard.sendFault();
    await entries(page).first().waitFor();
    await page.locator("nav .badge").waitFor();
  });

  for (const [name, options] of looks) {
    it(`are listed and shown ${name}, without findings of axe`, async () => {
      const page = await show("/", options);
      await entries(page).first().waitFor();
      await page.locator(".lanes canvas").waitFor();
      await expectAccessible(page);
      await entries(page).first().locator("a").click();
      await page.getByRole("heading", { name: "What happened" }).waitFor();
      await page.getByRole("heading", { name: "Evidence", exact: true }).waitFor();
      await expectAccessible(page);
    });
  }

  it("have lanes of anomalies over time, which a table repeats and a drag narrows", async () => {
    const page = await show("/?from=now-1h");
    const canvas = page.locator(".lanes canvas");
    await canvas.waitFor();
    const drawn =
      "document.querySelector('.lanes canvas').getContext('2d').getImageData(0, 0, 2000, 150).data.some(Boolean)";
    await expect.poll(() => page.evaluate(drawn)).toBe(true);
    await page.locator(".lanes summary").click();
    const link = page.locator(".lanes td a").first();
    const lane = await link.textContent();
    const href = new URL((await link.getAttribute("href"))!, page.url());
    expect(href.searchParams.get("service")).toBe(lane);
    await page.getByRole("button", { name: "Channels" }).click();
    await expect.poll(() => new URL(page.url()).searchParams.get("lanes")).toBe("channel");
    await canvas.scrollIntoViewIfNeeded();
    const { x, y, width } = (await canvas.boundingBox())!;
    await page.mouse.move(x + width / 2, y + 10);
    await page.mouse.down();
    await page.mouse.move(x + width - 10, y + 12, { steps: 5 });
    await page.mouse.up();
    await expect.poll(() => new URL(page.url()).searchParams.get("until")).toMatch(/^\d{4}-.*Z$/);
    await page.goBack();
    expect(new URL(page.url()).searchParams.get("from")).toBe("now-1h");
  });

  it("are opened, understood and acknowledged by the keyboard, which the audit log has", async () => {
    const [first] = await incidents();
    const page = await show(`/?service=${encodeURIComponent(first!.services[0]!)}`);
    await entries(page).first().waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await expect.poll(() => new URL(page.url()).pathname).toMatch(/^\/incidents\/\w+$/);
    const id = new URL(page.url()).pathname.split("/").at(-1)!;
    const { sentence, cause, state } = await detail(id);
    await page.locator("h1").getByText(sentence.slice(1, 40)).waitFor();
    await page.locator(".ranking").first().getByText(cause!.service).first().waitFor();
    await page.keyboard.press("a");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.type("rolling back");
    await page.keyboard.press("Control+Enter");
    await page.locator(".facts .state.pending").waitFor();
    expect((await detail(id)).state).toBe(state);
    await page.locator(".toast").getByRole("button", { name: "Close" }).click();
    await page.locator(".timeline .person").getByText("rolling back").waitFor();
    expect(await detail(id)).toMatchObject({
      state: "acknowledged",
      events: [{ state: "acknowledged", note: "rolling back" }],
    });
    const audit = await dashboard.get<{ items: object[] }>("/v1/audit");
    expect(audit.items[0]).toMatchObject({ action: "incident.acknowledged", target: id });
    await page.keyboard.press("u");
    await page.getByRole("dialog").getByRole("button", { name: "Withdraw" }).click();
    await page.locator(".toast").getByRole("button", { name: "Close" }).click();
    await expect.poll(async () => (await detail(id)).state).toBe(state);
  });

  it("are expected for a time that a person chooses", async () => {
    const id = (await incidents()).at(-1)!.id;
    const page = await show(`/incidents/${id}`);
    await page.getByRole("button", { name: "Expect more like it" }).click();
    await page.getByLabel("For").selectOption("1 day");
    await expectAccessible(page);
    await page.getByRole("dialog").getByRole("button", { name: "Expect more like it" }).click();
    await page.locator(".toast").getByRole("button", { name: "Close" }).click();
    await page.getByText("More like it is expected until").waitFor();
    const until = Date.parse((await detail(id)).expected_until!);
    expect(until).toBeGreaterThan(Date.now() + 23 * 3_600_000);
  });

  it("lead to their anomalies, and these to them", async () => {
    const all = await Promise.all((await incidents()).map(({ id }) => detail(id)));
    // An anomaly that goes on in a later incident leads to that one.
    const { id } = all.find(({ id, anomalies }) => anomalies[0]?.incident === id)!;
    const page = await show(`/incidents/${id}`);
    await page.locator('section:has(h2:text("Its anomalies")) td a').first().click();
    await page.locator(".facts").getByRole("link", { name: "an incident" }).click();
    await expect.poll(() => new URL(page.url()).pathname).toBe(`/incidents/${id}`);
  });
});
