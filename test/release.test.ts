/** What `make release` writes beside the package. */
import { type ExecFileSyncOptions, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { native } from "../src/native.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string) => readFileSync(join(root, path), "utf8");
const manifest = JSON.parse(read("package.json"));
let folder: string;
let tarball: string;

const file = (ending: string) => readFileSync(join(folder, tarball.replace(/\.tgz$/, ending)), "utf8");
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-release-"));
  const quiet: ExecFileSyncOptions = { cwd: root, stdio: ["ignore", "ignore", "inherit"] };
  execFileSync("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder], quiet);
  [tarball] = readdirSync(folder) as [string];
  const env = {
    ...process.env,
    SOURCE_URI: "git+https://git.example/driftlock",
    BUILDER_ID: "https://ci.example",
  };
  execFileSync(process.execPath, ["scripts/attest.ts", join(folder, tarball)], { ...quiet, env });
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the bill of materials", () => {
  it("is valid by the schema of CycloneDX", async () => {
    const bom = file(".cdx.json");
    const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot5);
    expect(JSON.parse(bom).specVersion).toBe("1.5");
    expect(await validator.validate(bom)).toBeNull();
    // The validator is at work.
    expect(await validator.validate(bom.replace('"type": "library"', '"type": "book"'))).not.toBeNull();
  });

  it("has every package that runs, and no other", () => {
    const { metadata, components, dependencies } = JSON.parse(file(".cdx.json"));
    expect(metadata.component).toMatchObject({ name: "driftlock", version: manifest.version });
    const { packages } = JSON.parse(read("package-lock.json"));
    type Locked = { version: string; dev?: boolean; devOptional?: boolean; optional?: boolean };
    const locked = Object.entries<Locked>(packages)
      .filter(([path, { dev, devOptional }]) => path !== "" && !dev && !devOptional)
      .map(([path, { version, optional }]) => ({
        name: `${path.replace(/^.*node_modules\//, "")}@${version}`,
        optional: optional === true,
      }));
    const named: string[] = components
      .filter(({ purl }: { purl: string }) => purl.startsWith("pkg:npm/"))
      .map(({ purl }: { purl: string }) => decodeURIComponent(purl.slice("pkg:npm/".length)));
    expect(named).toEqual(
      expect.arrayContaining(locked.filter(({ optional }) => !optional).map(({ name }) => name)),
    );
    expect(locked.map(({ name }) => name)).toEqual(expect.arrayContaining(named));
    const own = dependencies.find(({ ref }: { ref: string }) => ref === `driftlock@${manifest.version}`);
    expect(own.dependsOn).toHaveLength(Object.keys(manifest.dependencies).length + 4);
  });

  it("has the native libraries as they are linked, with their licences and where they are from", () => {
    const { components } = JSON.parse(file(".cdx.json"));
    const notice = read("NOTICE").toLowerCase();
    for (const [name, called] of [
      ["openzl", "openzl"],
      ["zstd", "zstandard"],
      ["lz4", "lz4"],
      ["zlib", "zlib"],
    ] as const) {
      const found = components.find((each: { name: string }) => each.name === name);
      const { version, licenses, externalReferences } = found;
      expect(version).toBe(native.versions[name]);
      expect(notice).toMatch(new RegExp(`${called} +${licenses[0].license.id.toLowerCase()}`));
      expect(read("deps/Cargo.lock")).toContain(externalReferences[0].hashes[0].content);
    }
  });
});

it("the provenance names the package, its bill of materials, and the commit", () => {
  const statement = JSON.parse(file(".provenance.json"));
  expect(statement).toMatchObject({
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: tarball, digest: { sha256: sha256(join(folder, tarball)) } }],
    predicateType: "https://slsa.dev/provenance/v1",
  });
  const { buildDefinition, runDetails } = statement.predicate;
  const commit = execFileSync("git", ["rev-parse", "HEAD"], { cwd: root, encoding: "utf8" }).trim();
  expect(buildDefinition.resolvedDependencies).toEqual([
    expect.objectContaining({ uri: "git+https://git.example/driftlock", digest: { gitCommit: commit } }),
    { name: "package-lock.json", digest: { sha256: sha256(join(root, "package-lock.json")) } },
    { name: "deps/Cargo.lock", digest: { sha256: sha256(join(root, "deps/Cargo.lock")) } },
  ]);
  expect(runDetails.builder.id).toBe("https://ci.example");
  const bom = tarball.replace(/\.tgz$/, ".cdx.json");
  expect(runDetails.byproducts).toEqual([{ name: bom, digest: { sha256: sha256(join(folder, bom)) } }]);
  expect(JSON.stringify(statement)).not.toContain(root);
});
