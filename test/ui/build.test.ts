/** What `make build` makes of the dashboard. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";

const built = join(import.meta.dirname, "..", "..", "dist", "ui");
const page = readFileSync(join(built, "index.html"), "utf8");
const textOf = (name: string) => readFileSync(join(built, name), "utf8");

it("loads at most 60 kB of scripts before something is shown", () => {
  const scripts = [...page.matchAll(/(?:src|href)="([^"]+\.js)"/g)].map(([, name]) => name!);
  expect(scripts.length).toBeGreaterThan(0);
  const size = scripts.reduce((sum, name) => sum + gzipSync(textOf(name)).length, 0);
  expect(size).toBeLessThanOrEqual(60_000);
});

it("needs nothing that the content security policy forbids, and nothing of other places", () => {
  expect(page).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=/);
  for (const name of readdirSync(built, { recursive: true, encoding: "utf8" })) {
    if (!/\.(html|js|css)$/.test(name)) continue;
    expect(textOf(name)).not.toMatch(/\beval\(|new Function\(|url\(["']?data:font/);
    // What verifies bundles contains URLs as names, such as that of in-toto's statement.
    if (name.endsWith(".js") && !page.includes(name)) continue;
    const urls = textOf(name).match(/https?:\/\/[^\s"'`)]+/g) ?? [];
    expect(urls.filter((url) => !url.startsWith("http://www.w3.org/"))).toEqual([]);
  }
});
