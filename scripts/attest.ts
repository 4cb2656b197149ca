/**
 * Writes the statements about the contents and the origin of a package beside it: attest.ts TARBALL
 *   NAME.cdx.json         the software bill of materials, CycloneDX: npm packages as locked, and the native libraries
 *   NAME.provenance.json  an in-toto statement with SLSA provenance v1, unsigned: sign it with the identity that publishes
 * The variables SOURCE_URI and BUILDER_ID name the repository and the builder.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";

const root = join(import.meta.dirname, "..");
const { name, version, dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const ref = `${name}@${version}`;

/** The libraries in the addon, with the crate that contains their sources and the names by which scanners know them. */
const libraries = [
  { name: "openzl", crate: "openzl-sys", license: "BSD-3-Clause", repository: "facebook/openzl" },
  {
    name: "zstd",
    crate: "zstd-sys",
    license: "BSD-3-Clause",
    repository: "facebook/zstd",
    cpe: "facebook:zstandard",
  },
  { name: "lz4", crate: "lz4-sys", license: "BSD-2-Clause", repository: "lz4/lz4", cpe: "lz4_project:lz4" },
  { name: "zlib", crate: "libz-sys", license: "Zlib", repository: "madler/zlib", cpe: "zlib:zlib" },
];

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { cwd: root, encoding: "utf8", maxBuffer: 2 ** 26 }).trim();
}

function sha256(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

/** Returns the version and the checksum of a crate from deps/Cargo.lock. */
function locked(crate: string): { version: string; checksum: string } {
  const lock = readFileSync(join(root, "deps/Cargo.lock"), "utf8");
  const found = new RegExp(`name = "${crate}"\nversion = "(.+)"\nsource = .+\nchecksum = "(.+)"`).exec(lock);
  if (found === null) throw new Error(`deps/Cargo.lock: no crate ${crate}`);
  return { version: found[1]!, checksum: found[2]! };
}

/** Describes the linked libraries. @param codecs the versions that the addon reports */
function nativeComponents(codecs: Record<string, string>) {
  const ofCrates = libraries.map(({ name, crate, license, repository, cpe }) => {
    const linked = codecs[name]!;
    const source = locked(crate);
    const purl = `pkg:github/${repository}@v${linked}`;
    return {
      "bom-ref": purl,
      type: "library",
      name,
      version: linked,
      scope: "required",
      description: `Linked statically into the addon, from the sources in the crate ${crate} ${source.version}`,
      licenses: [{ license: { id: license } }],
      purl,
      ...(cpe && { cpe: `cpe:2.3:a:${cpe}:${linked}:*:*:*:*:*:*:*` }),
      externalReferences: [
        {
          type: "distribution",
          url: `https://static.crates.io/crates/${crate}/${crate}-${source.version.replace("+", "%2B")}.crate`,
          hashes: [{ alg: "SHA-256", content: source.checksum }],
        },
      ],
    };
  });
  return [...ofCrates, re2Component()];
}

/** RE2 has no version of its own in the npm package that contains its sources. */
function re2Component() {
  const pin = JSON.parse(readFileSync(join(root, "deps/re2.json"), "utf8"));
  return {
    "bom-ref": "pkg:github/google/re2",
    type: "library",
    name: "re2",
    version: pin.version,
    scope: "required",
    description: `Linked statically into the addon, from the sources in the npm package ${pin.package} ${pin.version}`,
    licenses: [{ license: { id: "BSD-3-Clause" } }],
    purl: "pkg:github/google/re2",
    externalReferences: [
      {
        type: "distribution",
        url: `https://registry.npmjs.org/${pin.package}/-/${pin.package}-${pin.version}.tgz`,
        hashes: [{ alg: "SHA-512", content: pin.sha512 }],
      },
    ],
  };
}

interface Dependency {
  ref: string;
  dependsOn: string[];
}

interface Component {
  "bom-ref": string;
  properties?: { name: string; value: string }[];
}

/** Returns name@version of each package that the lock file does not reserve for development at every place. */
function packagesThatRun(): Set<string> {
  type Locked = { version: string; dev?: boolean; devOptional?: boolean };
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  return new Set(
    Object.entries<Locked>(packages)
      .filter(([, { dev, devOptional }]) => !dev && !devOptional)
      .map(([path, { version }]) => `${path.replace(/^.*node_modules\//, "")}@${version}`),
  );
}

/**
 * Returns npm's bill of materials without development packages. npm's own `--omit dev` also omits packages that run, if a
 * development package depends on them too, and it marks a version that runs as one for development if it finds such a copy first. The project is named by its package, since npm names it by its folder.
 */
function billOfMaterials(codecs: Record<string, string>) {
  const bom = JSON.parse(run("npm", "sbom", "--sbom-format", "cyclonedx"));
  const runs = packagesThatRun();
  const added = nativeComponents(codecs);
  bom.metadata.component.name = name;
  bom.components = bom.components
    .filter((each: Component) => runs.has(each["bom-ref"]))
    .map((each: Component) => ({
      ...each,
      properties: each.properties?.filter((property) => property.name !== "cdx:npm:package:development"),
    }));
  const refs = new Set([ref, ...bom.components.map((each: Component) => each["bom-ref"])]);
  bom.dependencies = bom.dependencies.filter((each: Dependency) => refs.has(each.ref));
  for (const each of bom.dependencies) each.dependsOn = each.dependsOn.filter((on: string) => refs.has(on));
  bom.components.push(...added);
  const own = bom.dependencies.find((each: Dependency) => each.ref === ref) as Dependency;
  own.dependsOn = own.dependsOn.filter((on) => on.slice(0, on.lastIndexOf("@")) in dependencies);
  own.dependsOn.push(...added.map((each) => each["bom-ref"]));
  bom.dependencies.push(...added.map((each) => ({ ref: each["bom-ref"], dependsOn: [] })));
  return bom;
}

function provenance(tarball: string, bom: string) {
  const lockFile = (path: string) => ({ name: path, digest: { sha256: sha256(join(root, path)) } });
  const changed = run("git", "status", "--porcelain") !== "";
  const source = {
    name: "source",
    ...(process.env.SOURCE_URI && { uri: process.env.SOURCE_URI }),
    digest: { gitCommit: run("git", "rev-parse", "HEAD") },
    ...(changed && { annotations: { note: "the working tree had changes that are in no commit" } }),
  };
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: basename(tarball), digest: { sha256: sha256(tarball) } }],
    predicateType: "https://slsa.dev/provenance/v1",
    predicate: {
      buildDefinition: {
        buildType: "urn:driftlock:build:make-release:v1",
        externalParameters: { source, command: "make release" },
        internalParameters: {
          platform: `${process.platform}-${process.arch}`,
          node: process.versions.node,
          npm: run("npm", "--version"),
          cmake: run("cmake", "--version").split("\n", 1)[0],
        },
        resolvedDependencies: [
          source,
          lockFile("package-lock.json"),
          lockFile("deps/Cargo.lock"),
          lockFile("deps/re2.json"),
        ],
      },
      runDetails: {
        builder: { id: process.env.BUILDER_ID ?? "urn:driftlock:builder:unnamed" },
        metadata: { finishedOn: new Date().toISOString() },
        byproducts: [{ name: basename(bom), digest: { sha256: sha256(bom) } }],
      },
    },
  };
}

const [tarball] = process.argv.slice(2);
if (tarball === undefined) throw new Error("attest.ts takes the path of a packed release");
const stem = tarball.replace(/\.tgz$/, "");
const write = (path: string, document: unknown) =>
  writeFileSync(path, `${JSON.stringify(document, null, 2)}\n`);
const { codecs } = JSON.parse(run(process.execPath, "dist/cli/main.js", "version", "--json"));
write(`${stem}.cdx.json`, billOfMaterials(codecs));
write(`${stem}.provenance.json`, provenance(tarball, `${stem}.cdx.json`));
