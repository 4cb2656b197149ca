/** Files that `make release` writes beside the package. */
import { type ExecFileSyncOptions, execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
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

describe("the package", () => {
  const files = () => execFileSync("tar", ["-tzf", join(folder, tarball)], { encoding: "utf8" }).split("\n");

  it("has the pages that its README links to", () => {
    const links = [...read("README.md").matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link]) => link);
    expect(links).toContain("docs/README.md");
    for (const link of new Set(links)) expect(files()).toContain(`package/${link}`);
  });

  it("is made of compiled sources that are there and up to date", () => {
    const copy = mkdtempSync(join(folder, "copy-"));
    for (const name of ["scripts", "src", "dist"]) mkdirSync(join(copy, name));
    cpSync(join(root, "scripts/prepack.cjs"), join(copy, "scripts/prepack.cjs"));
    const touch = (name: string, seconds: number) => {
      writeFileSync(join(copy, name), "");
      utimesSync(join(copy, name), seconds, seconds);
    };
    const prepack = () => {
      const { status, stderr } = spawnSync(process.execPath, ["scripts/prepack.cjs"], { cwd: copy });
      return `${status} ${stderr}`;
    };
    touch("src/index.ts", 1_000);
    expect(prepack()).toMatch(/^1 .*nothing is packed: dist\/ has not been built\. Run `make release`/);
    touch("dist/.stamp", 2_000);
    expect(prepack()).toBe("0 ");
    touch("src/late.ts", 3_000);
    expect(prepack()).toMatch(/^1 .*src\/late\.ts is newer than dist\//);
  });

  it("takes no other version of OpenZL than the one that verdicts are computed with", () => {
    const openzl = mkdtempSync(join(folder, "openzl-"));
    mkdirSync(join(openzl, "include/openzl"), { recursive: true });
    writeFileSync(join(openzl, "include/openzl/openzl.h"), "");
    writeFileSync(
      join(openzl, "include/openzl/zl_version.h"),
      ["MAJOR 0", "MINOR 2", "PATCH 0"].map((part) => `#define ZL_LIBRARY_VERSION_${part}\n`).join(""),
    );
    const args = ["-S", root, "-B", join(openzl, "build"), "-DDRIFTLOCK_ADDON=OFF"];
    const { status, stderr } = spawnSync("cmake", args, {
      env: { ...process.env, OPENZL_ROOT: openzl },
      encoding: "utf8",
    });
    expect(status).not.toBe(0);
    expect(stderr.replaceAll(/\s+/g, " ")).toContain(
      `OpenZL at '${openzl}' has the version '0.2.0', but Driftlock needs 0.3.0.`,
    );
  });
});

describe("the bill of materials", () => {
  it("is valid by the schema of CycloneDX", async () => {
    const bom = file(".cdx.json");
    const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot5);
    expect(JSON.parse(bom).specVersion).toBe("1.5");
    expect(await validator.validate(bom)).toBeNull();
    // The validator is able to fail.
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
    expect(own.dependsOn).toHaveLength(Object.keys(manifest.dependencies).length + 5);
  });

  it("has the native libraries as they are linked, with their licences and where they are from", () => {
    const { components } = JSON.parse(file(".cdx.json"));
    const notice = read("NOTICE").toLowerCase();
    for (const [name, called] of [
      ["openzl", "openzl"],
      ["zstd", "zstandard"],
      ["lz4", "lz4"],
      ["zlib", "zlib"],
      ["re2", "re2"],
    ] as const) {
      const found = components.find((each: { name: string }) => each.name === name);
      const { version, licenses, externalReferences } = found;
      expect(version).toBe(
        name === "re2" ? JSON.parse(read("deps/re2.json")).version : native.versions[name],
      );
      expect(notice).toMatch(new RegExp(`${called} +${licenses[0].license.id.toLowerCase()}`));
      expect(read("deps/Cargo.lock") + read("deps/re2.json")).toContain(
        externalReferences[0].hashes[0].content,
      );
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
    { name: "deps/re2.json", digest: { sha256: sha256(join(root, "deps/re2.json")) } },
  ]);
  expect(runDetails.builder.id).toBe("https://ci.example");
  const bom = tarball.replace(/\.tgz$/, ".cdx.json");
  expect(runDetails.byproducts).toEqual([{ name: bom, digest: { sha256: sha256(join(folder, bom)) } }]);
  expect(JSON.stringify(statement)).not.toContain(root);
});
