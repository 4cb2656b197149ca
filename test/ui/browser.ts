/** A real Chromium, which scripts/chromium.sh finds or installs, and what a page did wrong in it. */
import { execFile } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { AxeBuilder } from "@axe-core/playwright";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { expect, onTestFinished } from "vitest";

const script = fileURLToPath(new URL("../../scripts/chromium.sh", import.meta.url));

export const skipChromium = process.env.DRIFTLOCK_SKIP_CHROMIUM === "1";

export async function startBrowser(): Promise<Browser> {
  const { stdout } = await promisify(execFile)(script);
  return chromium.launch({ executablePath: stdout.trim(), args: ["--no-sandbox", "--disable-gpu"] });
}

/** How a page may look, as options for `showPage`. */
export const looks = [
  ["in light colours", { colorScheme: "light" }],
  ["in dark colours", { colorScheme: "dark" }],
  ["on a telephone", { viewport: { width: 390, height: 844 } }],
] as const;

/**
 * Opens a page of its own, without anything that others have kept, until the end of the test. Until then no script may fail, and
 * the content security policy may not be violated.
 */
export async function showPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Page> {
  const context = await browser.newContext({ timezoneId: "Europe/Berlin", ...options });
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", ({ message }) => errors.push(message));
  page.on("console", (message) => {
    // What the network refuses is the business of each test.
    if (message.type() === "error" && !message.text().startsWith("Failed to load"))
      errors.push(message.text());
  });
  onTestFinished(async () => {
    await context.close();
    expect(errors).toEqual([]);
  });
  await page.goto(url);
  return page;
}

/** Expects that axe finds nothing, and that nothing is wider than the window. */
export async function expectAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
  expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0);
}
