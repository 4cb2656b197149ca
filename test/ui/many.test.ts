/** A list of many anomalies while live events arrive, and what is shown while the store is away. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { encodeReport } from "../../src/anomaly/report.ts";
import { liveSink } from "../../src/api/live/publish.ts";
import { type Running, start } from "../api/support.ts";
import { id, midnight, report } from "../store/fixtures.ts";
import { expectAccessible, showPage, skipChromium, startBrowser } from "./browser.ts";

const count = 1_000;

describe.skipIf(skipChromium)("many anomalies", { timeout: 60_000 }, () => {
  let browser: Browser;
  let running: Running;
  beforeAll(async () => {
    browser = await startBrowser();
  }, 60_000);
  afterAll(() => browser?.close());
  beforeEach(async () => {
    running = await start();
    await running.store.anomalies.record(
      Array.from({ length: count }, (_, i) => anomaly(i, { occurrence: 1n })),
    );
  });

  /** The i-th anomaly; later ones start later. */
  function anomaly(i: number, init: Parameters<typeof report>[0] = {}) {
    const start = midnight + BigInt(i) * 1_000_000_000n;
    return report({ tenant: "default", id: id(i + 1), startTimeUnixNano: start, ...init });
  }

  const show = (path: string) => showPage(browser, running.url(path));

  const rows = (page: Page) => page.locator(".list .rows .row");
  const scrollTo = (page: Page, top: number) =>
    page.evaluate(`document.querySelector(".list").scrollTo(0, ${top})`);
  const firstTime = (page: Page) => rows(page).first().locator("time").getAttribute("datetime");

  it("are loaded page by page, and only the rows in sight exist", async () => {
    const page = await show("/anomalies");
    await page.getByText("200 anomalies, more as you scroll").waitFor();
    for (const loaded of ["400", "600", "800"]) {
      await scrollTo(page, 1e9);
      await page.getByText(`${loaded} anomalies, more as you scroll`).waitFor();
    }
    await scrollTo(page, 1e9);
    await page.getByText("1,000 anomalies", { exact: true }).waitFor();
    await scrollTo(page, 1e9);
    const last = page.locator(`.row[aria-rowindex="${count + 1}"]`);
    await last.waitFor();
    expect(await last.locator("time").getAttribute("datetime")).toBe("2026-01-31T00:00:00.000000000Z");
    expect(await rows(page).count()).toBeLessThan(100);
    await expectAccessible(page);
  });

  it("change in place as they grow, while what is read stays where it is", async () => {
    const page = await show("/anomalies");
    await page.locator(".live.live").waitFor();
    await rows(page).first().waitFor();
    await scrollTo(page, 2_000);
    await expect.poll(() => rows(page).first().getAttribute("aria-rowindex")).not.toBe("2");
    const before = await firstTime(page);
    const publish = liveSink(running.hub);
    const shown = Number(await rows(page).nth(20).getAttribute("data-index"));
    publish(encodeReport(anomaly(count - 1 - shown, { occurrence: 64n })));
    for (let i = 0; i < 12; i++) publish(encodeReport(anomaly(count + i)));
    await page.getByRole("button", { name: "12 new" }).waitFor();
    await page.locator(`.row[data-index="${shown}"]`).getByText("64×").waitFor();
    expect(await firstTime(page)).toBe(before);
    await page.getByRole("button", { name: "12 new" }).click();
    await expect.poll(() => rows(page).first().getAttribute("aria-rowindex")).toBe("2");
    await page.getByText("212 anomalies, more as you scroll").waitFor();
  });

  it("stay, as the last known ones, while the store is away", async () => {
    const page = await show("/anomalies");
    await rows(page).first().waitFor();
    await running.store.close();
    await scrollTo(page, 1e9);
    await page.getByText("These are the last known data").waitFor();
    expect(await rows(page).count()).toBeGreaterThan(10);
    await expectAccessible(page);
    await page.goto(running.url("/streams"));
    await page.getByRole("heading", { name: "This could not be loaded" }).waitFor();
    await page.getByRole("button", { name: "Try again" }).waitFor();
  });
});
