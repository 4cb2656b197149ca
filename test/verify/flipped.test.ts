/** Each kind of value in a bundle is altered, one after another: it is found, and said what it is. */
import { readFileSync } from "node:fs";
import { inflateSync } from "node:zlib";
import { expect, it } from "vitest";
import { canonicalJson, type Json } from "../../src/base/canonical.ts";
import type { Bundle } from "../../src/evidence/bundle.ts";
import { writeLines } from "../../src/evidence/layout.ts";
import { renderPdf } from "../../src/evidence/pdf/index.ts";
import { type Check, verifyBundle } from "../../src/verify/index.ts";

const folder = new URL("./bundles/", import.meta.url);
const file = readFileSync(new URL("format-13.evidence", folder), "utf8");
const bundle = JSON.parse(file) as Bundle;
const keys = [{ public_key: bundle.content.signing.public_key }];

type Path = readonly string[];

function* valuesIn(value: unknown, path: Path = []): Generator<Path> {
  const members = typeof value === "object" && value !== null ? Object.entries(value) : [];
  if (members.length === 0) yield path;
  for (const [name, member] of members) yield* valuesIn(member, [...path, name]);
}

/** What values of one kind have in common: their path without places in lists. All settings are of one kind. */
const kindOf = (path: Path) =>
  path
    .map((name) => (/^\d+$/.test(name) ? "*" : name))
    .join(".")
    .replace(/\.body\..*/, ".body");

const kinds = new Map([...valuesIn(bundle)].toReversed().map((path) => [kindOf(path), path]));

/** Changes one character of a text, the first letter or digit of it, or the last. */
function otherThan(value: unknown, which: "first" | "last"): unknown {
  if (typeof value === "number") return value + 1;
  if (typeof value === "boolean") return !value;
  if (typeof value !== "string") return "x";
  const at = which === "first" ? value.search(/[0-9A-Y]/i) : value.search(/[0-9A-Y][^0-9A-Y]*$/i);
  if (at < 0) return `${value}x`;
  // The bit that changes is the lowest, which the end of a text in base64 may not use.
  const other = "1032547698badcfehgjilknmporqtsvuxw";
  const own = "0123456789abcdefghijklmnopqrstuvwx";
  const c = value[at]!;
  const next = other[own.indexOf(c.toLowerCase())] ?? "a";
  return value.slice(0, at) + (c === c.toLowerCase() ? next : next.toUpperCase()) + value.slice(at + 1);
}

/** Returns the file with another value at a path. */
function altered(path: Path, which: "first" | "last"): string {
  const changed = structuredClone(bundle) as unknown as Record<string, unknown>;
  let parent = changed;
  for (const name of path.slice(0, -1)) parent = parent[name] as Record<string, unknown>;
  const last = path.at(-1)!;
  parent[last] = otherThan(parent[last], which);
  return writeLines(
    Object.fromEntries(
      Object.entries(changed).map(([name, value]) => [name, canonicalJson(value as Json)]),
    ) as Parameters<typeof writeLines>[0],
  );
}

/** Which checks fail besides that of the digest, for what is checked otherwise as well. */
const also: readonly (readonly [kind: RegExp, name: Check["name"]])[] = [
  [/^envelope\.(payload|payloadType|signatures)/, "signature"],
  [/^timestamp$/, "timestamp"],
  [/^content\.timestamping\.(nonce|policy)/, "timestamp"],
  [/^content\.signing\.(key_id|public_key)/, "signature"],
  [/^content\.(id|tenant|created_at)$/, "statement"],
  [/^content\.settings\.\*\.(hash|body)/, "settings"],
  [/^content\.privacy\.(hash|policy)/, "settings"],
  [/^content\.anomalies\.\*\.reports\.\*\.(message|sha256|report)/, "reports"],
  [/^content\.anomalies\.\*\.recording\.(data|sha256)/, "recordings"],
  [/^content\.audit\.entries\.\*\.(entry|previous_hash|hash)/, "chain"],
  [/^content\.audit\.entries\.\*\.proof/, "proofs"],
  [/^content\.audit\.(checkpoint|previous\.)/, "checkpoint"],
];

const failuresIn = async (text: string): Promise<Map<Check["name"], string>> => {
  const { checks } = await verifyBundle(text, { keys });
  return new Map(
    checks.filter(({ ok }) => ok === false).map(({ name, details }) => [name, details.join("\n")]),
  );
};

it("is found in nothing that was not altered", async () => {
  expect([...(await failuresIn(file))]).toEqual([]);
});

it("covers every member of a bundle", () => {
  expect(kinds.size).toBeGreaterThan(120);
  for (const [pattern] of also)
    expect([...kinds.keys()].filter((kind) => pattern.test(kind))).not.toEqual([]);
  const members = new Set([...kinds.keys()].map((kind) => kind.split(".").slice(0, 2).join(".")));
  for (const name of Object.keys(bundle.content)) expect(members).toContain(`content.${name}`);
});

it.each([...kinds])("%s", async (kind, path) => {
  for (const which of ["first", "last"] as const) {
    const failures = await failuresIn(altered(path, which));
    const layout = failures.get("layout");
    // The schema refuses what cannot be, such as another name of a channel, and says where.
    if (layout !== undefined) {
      expect(layout).toContain(path.slice(0, 3).join("."));
      continue;
    }
    if (path[0] === "content") expect(failures.get("digest")).toContain(`altered: ${path[1]}`);
    for (const [pattern, name] of also) {
      if (pattern.test(kind)) expect([...failures.keys()]).toContain(name);
    }
    expect(failures.size).toBeGreaterThan(0);
  }
});

it("the bundle in a PDF", async () => {
  const pdf = Buffer.from(await renderPdf(file));
  const from = pdf.indexOf("stream", pdf.indexOf("/EmbeddedFile")) + "stream\n".length;
  const packed = pdf.subarray(from, pdf.indexOf("\nendstream", from));
  expect(inflateSync(packed).toString()).toBe(file);
  for (let at = 0; at < packed.length; at += Math.ceil(packed.length / 50)) {
    const other = Buffer.from(packed);
    other[at]! ^= 1;
    // The stream has a checksum of its own.
    expect(() => inflateSync(other)).toThrow();
  }
});
