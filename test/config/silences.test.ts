import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { warnings } from "../../src/config/check.ts";
import { loadConfig } from "../../src/config/load.ts";
import { printConfig } from "../../src/config/print.ts";
import { ConfigError } from "../../src/config/problem.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-silences-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function load(yaml: string, env: Record<string, string> = {}) {
  const file = join(folder, "driftlock.yaml");
  writeFileSync(file, yaml);
  return loadConfig({ file, env, flags: {} });
}

function problems(yaml: string): string[] {
  try {
    load(yaml);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.replaceAll(`${folder}/`, "").split("\n");
  }
  return [];
}

const whole = {
  match: { signal: "logs", service: "check*", stream: "*", channels: ["volume"], tenant: "acme" },
  starts_at: "2026-01-31T12:00:00+01:00",
  ends_at: "2026-01-31T14:00:00Z",
  reason: "load test",
  author: "ann",
};

it("reads silences from a file and a variable, and prints them as they are", () => {
  const text = JSON.stringify([whole]);
  const { config, sources } = load(`silences: ${text}\n`);
  expect(config.silences).toEqual([whole]);
  expect(load("", { DRIFTLOCK_SILENCES: text }).config.silences).toEqual([whole]);
  expect(load(printConfig(config, sources)).config).toEqual(config);
  const plain = `silences:
  - match: { service: shop }
    ends_at: 2026-01-31T14:00:00Z
    reason: load test
    author: ann
`;
  expect(load(plain).config.silences[0]).toMatchObject({ ends_at: "2026-01-31T14:00:00Z" });
});

it("names the key, its place and the remedy of each mistake", () => {
  const yaml = `silences:
  - match: { servise: shop }
    starts_at: yesterday
    ends_at: 2026-01-31T14:00:00Z
    reason: ""
    author: ann
  - match: {}
    starts_at: 2026-01-31T14:00:00Z
    ends_at: 2026-01-31T12:00:00Z
    reason: r
    author: ann
  - match: {}
    starts_at: 2026-01-31T14:00:00Z
    ends_at: 2028-01-31T12:00:00Z
    reason: r
    author: ann
  - { ends_at: 9999-01-31T12:00:00Z, match: {}, reason: r, author: ann }
  - ends_at: 2026-01-31T12:00:00Z
`;
  expect(problems(yaml)).toEqual([
    "silences.0.match.servise: unknown key; remove it or correct its name (driftlock.yaml:2:23)",
    'silences.0.starts_at: must be RFC 3339 with a zone, such as 2026-01-31T12:00:00Z, is "yesterday" (driftlock.yaml:3:16)',
    "silences.0.reason: must not be empty (driftlock.yaml:5:13)",
    'silences.1.ends_at: must be after starts_at, is "2026-01-31T12:00:00Z" (driftlock.yaml:9:14)',
    'silences.2.ends_at: must be within a year; to stop judging a stream, use a policy, is "2028-01-31T12:00:00Z" (driftlock.yaml:14:14)',
    'silences.3.ends_at: must be within a year; to stop judging a stream, use a policy, is "9999-01-31T12:00:00Z" (driftlock.yaml:17:16)',
    "silences.4.match: is missing; set it (driftlock.yaml:2:3)",
    "silences.4.reason: is missing; set it (driftlock.yaml:2:3)",
    "silences.4.author: is missing; set it (driftlock.yaml:2:3)",
  ]);
});

it("points out silences that have ended", () => {
  const future = new Date(Date.now() + 60_000).toISOString();
  const { config } = load(`silences: ${JSON.stringify([whole, { ...whole, ends_at: future }])}\n`);
  expect(warnings(config).filter((text) => text.startsWith("silences"))).toEqual([
    "silences.0: ended at 2026-01-31T14:00:00Z; remove it",
  ]);
});
