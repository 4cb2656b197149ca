import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { pages } from "../../scripts/reference/pages.ts";
import { keys } from "../../src/config/keys.ts";
import { type Definition, definitions } from "../../src/telemetry/definitions.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";

const folder = new URL("../../docs/reference/", import.meta.url);
const read = (name: string) => readFileSync(new URL(name, folder), "utf8");

describe("docs/reference", () => {
  it.each(Object.keys(pages))("%s is up to date; `make docs` writes it", (name) => {
    expect(read(name)).toBe(pages[name]!());
  });

  it("holds nothing but generated pages", () => {
    expect(readdirSync(folder).sort()).toEqual(Object.keys(pages).sort());
  });

  it("describes each configuration key in whole sentences", () => {
    const page = read("configuration.md");
    for (const { name, env, description } of keys) {
      expect(description, name).toMatch(/^[A-Z`].*\.$/s);
      expect(page).toContain(`### \`${name}\`\n\n${description}\n`);
      expect(page).toContain(`\`${env}\``);
    }
  });

  it("has each metric that is registered, and no other", () => {
    const metrics = createMetrics({
      version: "1.2.3",
      node: "24.0.0",
      codecs: { openzl: "0.3.0", zstd: "1.5.7", lz4: "1.10.0" },
    });
    const none = () => expect.unreachable("metrics are only listed here");
    metrics.watch({
      receivers: none,
      engine: none,
      forwarder: none,
      dataDir: none,
      writer: none,
      audit: none,
      listeners: none,
      limits: none,
    });
    metrics.watchApi(none);
    const registered = metrics.registry
      .getMetricsAsArray()
      .map(({ name }) => name)
      .filter((name) => name.startsWith("driftlock_"));
    const defined = Object.values(definitions).flatMap((group) => Object.values<Definition>(group));
    expect(registered.sort()).toEqual(defined.map(({ name }) => name).sort());
    for (const { name, help } of defined) {
      expect(help, name).toMatch(/^[A-Z1].*\.$/s);
      expect(read("metrics.md")).toContain(`| \`${name}\` |`);
    }
  });
});
