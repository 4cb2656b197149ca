/** A list of many anomalies while live events arrive, and what is shown while the store is away. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
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

  /** Adds copies of all anomalies, without their reports, each an hour earlier. @returns how many there are */
  function multiply(file: string, times: number): number {
    const database = new DatabaseSync(file);
    const copied: Record<string, string> = {
      id: "printf('%08x', i) || substr(id, 9)",
      start_time: "start_time - i * 3600000000000",
      end_time: "end_time - i * 3600000000000",
    };
    database.exec("begin");
    const names = database.prepare("select name from pragma_table_info('anomalies')").all();
    const columns = names.map(({ name }) => String(name));
    database.exec(`with recursive copies(i) as (select 1 union all select i + 1 from copies where i < ${times - 1})
      insert into anomalies (${columns}) select ${columns.map((name) => copied[name] ?? name)} from anomalies, copies`);
    database.exec("commit");
    const { total } = database.prepare("select count(*) as total from anomalies").get()!;
    database.close();
    return Number(total);
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

  it("stay usable if there are 100,000, of which no page loads more than it shows", async () => {
    expect(multiply(join(running.folder, "driftlock.db"), 100)).toBe(100 * count);
    const range = "from=2026-01-20T00:00:00Z&until=2026-02-01T00:00:00Z";
    for (const path of [`/?${range}`, "/anomalies?severity=medium"]) {
      const page = await show(path);
      const ready = path.startsWith("/?") ? ".lanes canvas" : ".list .rows .row";
      await page.locator(ready).first().waitFor();
      const bytes = await page.evaluate<number>(`performance.getEntriesByType("resource")
        .filter(({ name }) => name.includes("/v1/"))
        .reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0)`);
      expect(bytes).toBeGreaterThan(0);
      expect(bytes).toBeLessThan(500_000);
    }
    const page = await show("/anomalies");
    await page.getByText("200 anomalies, more as you scroll").waitFor();
    await scrollTo(page, 1e9);
    await page.getByText("400 anomalies, more as you scroll").waitFor();
    await rows(page).first().click();
    await page.locator(".peek h2").first().waitFor();
    expect(await page.locator(".peek .facts").count()).toBe(1);
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

  it("keep a row's element and focus while it is in sight, and use the elements again after a jump", async () => {
    const page = await show("/anomalies");
    await rows(page).first().waitFor();
    const rowAt = (index: number) => `.row[data-index="${index}"]`;
    const focused = (selector: string) => page.locator(`${selector}:focus`).waitFor();
    await page.locator(`${rowAt(20)} a`).focus();
    await page.evaluate(`for (const row of document.querySelectorAll(".list .rows .row")) row.old = true`);
    const old = () =>
      page.evaluate<number>(
        `[...document.querySelectorAll(".list .rows .row")].filter((row) => row.old).length`,
      );
    await scrollTo(page, 15 * 34);
    await page.locator(`${rowAt(5)}:first-child`).waitFor({ state: "attached" });
    await focused(`${rowAt(20)} a`);
    await scrollTo(page, 150 * 34);
    await page.locator(rowAt(150)).waitFor();
    await focused(".list");
    expect(await page.locator(rowAt(150)).locator("time").getAttribute("datetime")).toBe(
      new Date(Number(midnight / 1_000_000n) + (count - 1 - 150) * 1_000)
        .toISOString()
        .replace("Z", "000000Z"),
    );
    expect(await old()).toBeGreaterThan(20);
    const shown = await rows(page).evaluateAll((all: { ariaRowIndex: string }[]) =>
      all.map(({ ariaRowIndex }) => Number(ariaRowIndex)),
    );
    expect(shown).toEqual(shown.toSorted((a, b) => a - b));
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
