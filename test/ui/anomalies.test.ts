/** The list of anomalies and what is known about each of them. */
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AnomalyDetailJson, AnomalyJson } from "../../src/json/anomaly-schema.ts";
import { expectAccessible, looks, showPage, skipChromium, startBrowser } from "./browser.ts";
import { type Dashboard, startDashboard } from "./dashboard.ts";

describe.skipIf(skipChromium)("anomalies", { timeout: 60_000 }, () => {
  let browser: Browser;
  let dashboard: Dashboard;
  beforeAll(async () => {
    [browser, dashboard] = await Promise.all([startBrowser(), startDashboard()]);
    await dashboard.sendShop();
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await dashboard?.close();
  });

  const show = (path: string, options?: BrowserContextOptions) =>
    showPage(browser, dashboard.url(path), options);

  const rows = (page: Page) => page.locator(".list .rows .row");
  const found = async (holds: (anomaly: AnomalyJson) => boolean) =>
    (await dashboard.anomalies()).find(holds)!;
  const leak = () => found(({ service, signal }) => service === "checkout" && signal === "logs");

  for (const [name, options] of looks) {
    it(`are listed and shown ${name}, without findings of axe`, async () => {
      const page = await show("/anomalies", options);
      await rows(page).first().waitFor();
      expect(await rows(page).count()).toBe((await dashboard.anomalies()).length);
      await expectAccessible(page);
      await rows(page).filter({ hasText: "checkout" }).last().click();
      await page.locator(".peek mark").first().waitFor();
      await expectAccessible(page);
      await page.getByRole("link", { name: "Open" }).click();
      await page.getByRole("heading", { name: "History" }).waitFor();
      await expectAccessible(page);
    });
  }

  it("are filtered by chips, which the address holds", async () => {
    const page = await show("/anomalies?signal=logs");
    await rows(page).first().waitFor();
    const logs = (await dashboard.anomalies()).filter(({ signal }) => signal === "logs").length;
    await expect.poll(() => rows(page).count()).toBe(logs);
    await page.keyboard.press("f");
    await page.getByLabel("Critical").check();
    await page.keyboard.press("Escape");
    expect(new URL(page.url()).search).toBe("?signal=logs&severity=critical");
    await page.getByRole("button", { name: "Remove the filter Signal: Logs" }).click();
    await page.getByRole("button", { name: "Remove the filter Severity: Critical" }).click();
    await expect.poll(() => rows(page).count()).toBe((await dashboard.anomalies()).length);
    await page.goBack();
    await page.getByRole("button", { name: "Remove the filter Severity: Critical" }).waitFor();
  });

  it("name the filter to remove if nothing is left", async () => {
    const page = await show("/anomalies?service=nobody&signal=logs");
    await page.getByText("No anomaly matches all filters").waitFor();
    await expectAccessible(page);
    await page.locator(".empty").getByRole("button", { name: "Service: nobody" }).click();
    await rows(page).first().waitFor();
  });

  it("are reached by the keyboard alone", async () => {
    const page = await show("/anomalies");
    await rows(page).first().waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("k");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    const second = (await dashboard.anomalies())[1]!;
    await expect.poll(() => new URL(page.url()).searchParams.get("peek")).toBe(second.id);
    await page.keyboard.press("Escape");
    await expect.poll(() => new URL(page.url()).searchParams.get("peek")).toBe(null);
    await page.keyboard.press("o");
    await expect.poll(() => new URL(page.url()).pathname).toBe(`/anomalies/${second.id}`);
    await page.keyboard.press("g");
    await page.keyboard.press("a");
    await expect.poll(() => new URL(page.url()).pathname).toBe("/anomalies");
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
    await expectAccessible(page);
    await page.getByLabel("Single letters are commands").uncheck();
    await page.keyboard.press("Escape");
    await page.keyboard.press("?");
    expect(await page.getByRole("dialog").count()).toBe(0);
    await page.keyboard.press("/");
    expect(await page.evaluate("document.activeElement.tagName")).not.toBe("INPUT");
  });

  it("show what is new in a record, its score, and the time in the chosen zone", async () => {
    const anomaly = await leak();
    const page = await show(`/anomalies/${anomaly.id}`);
    const { text, novel } = anomaly.report!.record!;
    const marks = await page.locator(".record mark").first().textContent();
    expect(marks).toBe(Buffer.from(text).subarray(novel[0]!.start, novel[0]!.end).toString());
    await page.getByText("times the limit").waitFor();
    await page.locator(".chart canvas").waitFor();
    const time = page.locator(".facts time").first();
    const inBerlin = await time.textContent();
    await page.keyboard.press("t");
    await expect.poll(() => time.textContent()).not.toBe(inBerlin);
    expect(await time.textContent()).toContain(anomaly.start_time.slice(11, 19));
    await page.reload();
    await expect.poll(() => time.textContent()).toContain(anomaly.start_time.slice(11, 19));
  });

  it("show the texts that were compared, with the secret masked", async () => {
    const { id } = await leak();
    const { excerpt_texts: texts } = await dashboard.get<AnomalyDetailJson>(`/v1/anomalies/${id}`);
    expect(texts!.window.lines.length).toBeGreaterThan(1);
    const page = await show(`/anomalies/${id}`);
    await page.getByText("Texts that were compared").click();
    const lines = page.getByLabel("The window", { exact: true }).locator("li");
    expect(await lines.count()).toBe(texts!.window.lines.length);
    expect(await lines.first().textContent()).toBe(texts!.window.lines[0]);
    await page.getByText("personal and secret values are masked").waitFor();
    await expectAccessible(page);
  });

  it("are decided about with a note, which can be undone before it is sent", async () => {
    const { id, state } = await leak();
    const page = await show(`/anomalies/${id}`);
    await page.getByRole("button", { name: "Acknowledge" }).click();
    await page.getByLabel("Note").fill("no card of a customer");
    await expectAccessible(page);
    await page.getByRole("dialog").getByRole("button", { name: "Acknowledge" }).click();
    await page.locator(".facts .state.pending").waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.locator(".facts .state.pending").waitFor({ state: "detached" });
    expect((await dashboard.get<AnomalyJson>(`/v1/anomalies/${id}`)).state).toBe(state);
    await page.keyboard.press("r");
    await page.getByLabel("Note").fill("the debug dump is gone");
    await page.keyboard.press("Control+Enter");
    await page.locator(".toast").getByRole("button", { name: "Close" }).click();
    await page.locator(".timeline .person").getByText("the debug dump is gone").waitFor();
    const { events } = await dashboard.get<{ events: object[] }>(`/v1/anomalies/${id}`);
    expect(events).toMatchObject([{ state: "resolved", note: "the debug dump is gone" }]);
    const audit = await dashboard.get<{ items: object[] }>("/v1/audit");
    expect(audit.items[0]).toMatchObject({ action: "anomaly.resolved", target: id });
  });

  it("are decided about even if the page is left at once", async () => {
    const { id } = await found(({ service }) => service === "inventory");
    const page = await show(`/anomalies/${id}`);
    await page.getByRole("button", { name: "Acknowledge" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Acknowledge" }).click();
    await page.locator(".facts .state.pending").waitFor();
    await page.goto("about:blank");
    await expect
      .poll(async () => (await dashboard.get<AnomalyJson>(`/v1/anomalies/${id}`)).state)
      .toBe("acknowledged");
  });

  it("wait behind a button while the list is read", async () => {
    const page = await show("/anomalies");
    await rows(page).first().hover();
    await page.locator(".live.live").waitFor();
    const before = await rows(page).count();
    const top = await rows(page).first().textContent();
    await dashboard.sendStrange();
    await page.getByRole("button", { name: "1 new" }).waitFor();
    expect(await rows(page).first().textContent()).toBe(top);
    await page.getByRole("button", { name: "1 new" }).click();
    await expect.poll(() => rows(page).count()).toBe(before + 1);
    await rows(page).first().getByText("till").waitFor();
  });
});
