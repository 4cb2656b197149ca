/** Bundles of evidence are verified in a browser, with nothing but the browser. */
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BundleJson } from "../../src/api/evidence.ts";
import type { Bundle } from "../../src/evidence/bundle.ts";
import { expectAccessible, looks, showPage, skipChromium, startBrowser } from "./browser.ts";
import { type Dashboard, startDashboard } from "./dashboard.ts";

const hasModule = existsSync("build/wasm/driftlock-verify.wasm");

describe.skipIf(skipChromium)("the page that verifies evidence", { timeout: 60_000 }, () => {
  let browser: Browser;
  let dashboard: Dashboard;
  let bundle: string;
  beforeAll(async () => {
    [browser, dashboard] = await Promise.all([startBrowser(), startDashboard()]);
    await dashboard.sendStrange();
    let [anomaly] = await dashboard.anomalies();
    while (anomaly === undefined) {
      await sleep(100);
      [anomaly] = await dashboard.anomalies();
    }
    const made = await fetch(`${dashboard.api}/v1/evidence`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ anomaly: anomaly.id }),
    });
    const { id } = (await made.json()) as BundleJson;
    bundle = await (await fetch(`${dashboard.api}/v1/evidence/${id}`)).text();
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await dashboard?.close();
  });

  const show = async (options?: BrowserContextOptions) => {
    const page = await showPage(browser, dashboard.url("/verify"), options);
    await page.getByText(hasModule ? "the page needs no network" : "built without a compiler").waitFor();
    return page;
  };
  const choose = (page: Page, text: string, name = "evidence.json") =>
    page
      .getByLabel("Drop the file of a bundle here")
      .setInputFiles({ name, mimeType: "application/json", buffer: Buffer.from(text) });
  const check = (page: Page, title: string) =>
    page.locator(".verification li").filter({ has: page.getByRole("heading", { name: title, exact: true }) });

  it.each(looks)("has no findings of axe %s", async (_name, options) => {
    const page = await show(options);
    await choose(page, bundle);
    await page.getByText("No check failed, but nobody has said whose key it is").waitFor();
    await expectAccessible(page);
  });

  it("makes all checks without a network, and says whose key it is", async () => {
    const page = await show();
    await page.context().setOffline(true);
    await choose(page, bundle);
    await page.getByText("No check failed, but").waitFor();
    const passed = page.locator(".verification .state", { hasText: "Passed" });
    const count = await passed.count();
    if (hasModule) {
      await check(page, "The verdicts, computed again")
        .getByText("1 of 1 verdict was computed again")
        .waitFor();
      await page.getByText(/^The same: /).click();
      const row = page.getByRole("row", { name: /^Score/ });
      const [stated, computed] = await row
        .locator("td")
        .allTextContents()
        .then((cells) => cells.slice(1));
      expect(Number(stated)).toBeGreaterThan(0);
      expect(computed).toBe(stated);
    }
    const { content } = JSON.parse(bundle) as Bundle;
    await page.getByLabel("Public keys, certificates and revocation lists in PEM").fill("a word");
    await page.getByRole("button", { name: "Trust these" }).click();
    await page.getByText("Nothing is added: this is neither").waitFor();
    await page
      .getByLabel("Public keys, certificates and revocation lists in PEM")
      .fill(content.signing.public_key);
    await page.getByRole("button", { name: "Trust these" }).click();
    await page.getByText("made by the holder of a key that you trust").waitFor();
    expect(await passed.count()).toBe(count + 1);
  });

  it.skipIf(!hasModule)("computes verdicts again that depend on patterns and allow-lists", async () => {
    const page = await show();
    await choose(page, readFileSync("test/verify/bundles/format-14.evidence", "utf8"));
    const verdicts = check(page, "The verdicts, computed again");
    await verdicts.getByText("7 of 7 verdicts were computed again").waitFor();
    await verdicts.getByText("what the operator's own detectors found (employee_id)").first().waitFor();
    await verdicts.getByText("1 value that the operator's allow-list permits").waitFor();
  });

  it("names what was altered, beside what is so", async () => {
    const page = await show();
    const { score } = (JSON.parse(bundle) as Bundle).content.anomalies[0]!.reports[0]!.report;
    await choose(page, bundle.replace(`"score":${score},`, `"score":1,`));
    await page.getByRole("heading", { name: /checks failed/ }).waitFor();
    await check(page, "The content").getByText("altered: anomalies").waitFor();
    await check(page, "The content").getByText("compare the SHA-256").waitFor();
    if (hasModule) await page.locator("td mark").first().waitFor();
    await expectAccessible(page);
    await choose(page, bundle.replace("driftlock-evidence", "driftlock-evidense"));
    await check(page, "The form of the file").getByText("Failed").waitFor();
  });

  it("says what a file is that is no bundle", async () => {
    const page = await show();
    await choose(page, "%PDF-1.7", "evidence.pdf");
    await page.getByText("The bundle is attached to it").waitFor();
    await choose(page, "{}");
    await page.getByText("The file is no evidence bundle").waitFor();
  });

  it("is the only one that may run WebAssembly", async () => {
    const empty =
      "WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])).then(() => 'ran', () => 'refused')";
    const page = await (await browser.newContext()).newPage();
    await page.goto(dashboard.url("/system"));
    expect(await page.evaluate(empty)).toBe("refused");
    await page.getByRole("link", { name: "Verify", exact: true }).click();
    await page.getByRole("heading", { name: "Verify evidence" }).waitFor();
    expect(await page.evaluate(empty)).toBe("ran");
    await page.getByRole("link", { name: "System", exact: true }).click();
    await page.getByRole("heading", { name: "Versions" }).waitFor();
    expect(await page.evaluate(empty)).toBe("refused");
    await page.context().close();
  });
});

describe.skipIf(skipChromium)("with authentication", { timeout: 60_000 }, () => {
  it("needs no session, because it shows nothing of a tenant", async () => {
    const [browser, dashboard] = await Promise.all([
      startBrowser(),
      startDashboard({ auth: { enabled: true } }),
    ]);
    try {
      const page = await (await browser.newContext()).newPage();
      await page.goto(dashboard.url("/verify"));
      await page.getByLabel("Drop the file of a bundle here").waitFor();
      await page.getByRole("link", { name: "System", exact: true }).click();
      await page.waitForURL(/\/login\?next=/);
    } finally {
      await browser.close();
      await dashboard.close();
    }
  });
});
