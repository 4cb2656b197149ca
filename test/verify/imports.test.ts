/** What `driftlock/verify` loads. */
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, it } from "vitest";

const statement = /^(?:import|export) (?!type)[^;"]*?from "([^"]+)";/gms;

/** The files that are loaded with one, and the packages. */
function loaded(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found;
  found.add(file);
  for (const [, from] of readFileSync(file, "utf8").matchAll(statement)) {
    if (from!.startsWith(".")) loaded(normalize(join(dirname(file), from!)), found);
    else found.add(from!);
  }
  return found;
}

it("is neither the server nor the addon, nor anything of Node.js", () => {
  const found = [...loaded("src/verify/index.ts")];
  const rooms = new Set(found.flatMap((file) => /^src\/(\w+)\//.exec(file)?.[1] ?? []));
  expect([...rooms].sort()).toEqual(["anomaly", "base", "evidence", "gen", "incidents", "json", "verify"]);
  const packages = found.filter((file) => !file.startsWith("src/"));
  const texts = found.filter((file) => file.startsWith("src/")).map((file) => readFileSync(file, "utf8"));
  expect(texts.filter((text) => /\b(?:Buffer|process|setImmediate)\b[.(]/.test(text))).toEqual([]);
  expect(packages.sort()).toEqual(["@bufbuild/protobuf", "@bufbuild/protobuf/codegenv2", "zod"]);
});
