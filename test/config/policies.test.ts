// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the configuration's own substitution
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { channelNames } from "../../src/anomaly/names.ts";
import { loadConfig } from "../../src/config/load.ts";
import { printConfig } from "../../src/config/print.ts";
import { ConfigError } from "../../src/config/problem.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-policies-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function load(yaml: string, flags: Record<string, string> = {}) {
  const file = join(folder, "driftlock.yaml");
  writeFileSync(file, yaml);
  return loadConfig({ file, env: {}, flags });
}

function problems(yaml: string, flags: Record<string, string> = {}): string[] {
  try {
    load(yaml, flags);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.replaceAll(`${folder}/`, "").split("\n");
  }
  return [];
}

const whole = {
  match: { tenant: "acme", signal: "metrics", service: "check*", metric: "http.*", stream: "*" },
  judge: true,
  budget: 2.5,
  channels: ["value"],
  ignore_fields: ["build.id"],
  direction: "up",
  min_deviation: "20%",
  min_count: 10,
};

it("reads policies from a file, a variable and a flag, and prints them as they are", () => {
  const text = JSON.stringify([whole, { match: {}, judge: false, min_deviation: 5 }]);
  const { config, sources } = load(`detect:\n  policies: ${text}\n`);
  expect(config.detect.policies).toEqual(JSON.parse(text));
  expect(load("", { "detect.policies": text }).config.detect).toEqual(config.detect);
  const printed = printConfig(config, sources);
  expect(load(printed).config.detect).toEqual(config.detect);
  const named = "detect: { policies: [{ match: { service: '${env:NOTHING:-shop}' }, judge: false }] }";
  expect(load(named).config.detect.policies[0]!.match.service).toBe("shop");
});

it("allows every channel that there is", () => {
  const text = JSON.stringify([{ match: {}, channels: channelNames }]);
  expect(load("", { "detect.policies": text }).config.detect.policies[0]!.channels).toEqual(channelNames);
});

it("names the key, its place and the remedy of each mistake", () => {
  const yaml = `detect:
  policies:
    - match: { signal: log, servise: shop }
      judge: "no"
      budget: 0
    - judge: false
    - match: {}
      channels: [contents]
      direction: upwards
      min_deviation: 20 percent
      min_count: -1
      ignore_fields: []
      channel: content
`;
  expect(problems(yaml)).toEqual([
    'detect.policies.0.match.signal: must be one of logs, traces, metrics, is "log"; did you mean logs? (driftlock.yaml:3:24)',
    "detect.policies.0.match.servise: unknown key; remove it or correct its name (driftlock.yaml:3:38)",
    'detect.policies.0.judge: must be true or false, is "no" (driftlock.yaml:4:14)',
    "detect.policies.0.budget: must be more than 0, is 0 (driftlock.yaml:5:15)",
    "detect.policies.1.match: is missing; set it (driftlock.yaml:3:5)",
    'detect.policies.2.channels.0: must be one of content, sequence, volume, value, fields, shift, novelty, group, is "contents"; did you mean content? (driftlock.yaml:8:18)',
    'detect.policies.2.direction: must be one of up, down, both, is "upwards" (driftlock.yaml:9:18)',
    'detect.policies.2.min_deviation: must be a number or a percentage such as 20%, is "20 percent" (driftlock.yaml:10:22)',
    "detect.policies.2.min_count: must be more than 0, is -1 (driftlock.yaml:11:18)",
    "detect.policies.2.channel: unknown key; remove it or correct its name (driftlock.yaml:13:16)",
  ]);
  expect(problems("", { "detect.policies": "[{match: {}, judge: maybe}]" })[0]).toContain(
    "must be true or false",
  );
  expect(problems("", { "detect.policies": "nonsense" })[0]).toContain(
    "must be a list of policies such as [{match",
  );
});
