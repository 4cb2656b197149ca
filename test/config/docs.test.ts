import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { type Key, keyByName, keys } from "../../src/config/keys.ts";
import { configSchema } from "../../src/config/schema.ts";
import { formatNumber } from "../../src/config/text.ts";

const page = readFileSync(new URL("../../docs/DEPLOYMENT.md", import.meta.url), "utf8");

/** Sections that may be left out, with no more than they must have. */
const required = { cert_file: "required", key_file: "required" };
const config = configSchema.parse({
  receive: { grpc: { tls: required }, http: { tls: required } },
  forward: { tls: {} },
  auth: { oidc: { issuer: "https://required", audience: "required" } },
});

/** The default as the page has it: empty where there is none. */
function defaultOf(key: Key): string {
  const value = key.path.reduce<unknown>((at, step) => (at as Record<string, unknown>)[step], config);
  if (value === undefined) return "";
  if (/^(https:\/\/)?required$/.test(String(value))) return "required";
  if (Array.isArray(value)) return `\`[${value.join(", ")}]\``;
  if (typeof value === "object") return `\`${JSON.stringify(value)}\``;
  return `\`${typeof value === "number" ? formatNumber(key, value) : value}\``;
}

const rows = [...page.matchAll(/^\| `([a-z][a-z_.]*)` \| ?(.*?) ?\| (.+) \|$/gm)].map(
  ([, name, byDefault, meaning]) => ({ name: name!, byDefault: byDefault!.trim(), meaning: meaning! }),
);

it("docs/DEPLOYMENT.md has each key once, with its default and its meaning", () => {
  expect(rows.map(({ name }) => name).sort()).toEqual(keys.map(({ name }) => name).sort());
  const told = Object.fromEntries(rows.map(({ name, byDefault }) => [name, byDefault]));
  expect(told).toEqual(Object.fromEntries(keys.map((key) => [key.name, defaultOf(key)])));
  for (const { name, meaning } of rows) {
    for (const choice of keyByName.get(name)!.choices) expect(meaning, name).toContain(choice);
  }
});
