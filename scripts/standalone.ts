/**
 * Makes one file of driftlock-verify, which depends on nothing but Node.js, and contains the WebAssembly module if it has been built:
 *   standalone.ts          dist/driftlock-verify.mjs
 *   standalone.ts RELEASE  also the npm package driftlock-verify in that folder, and the file itself; the module must be there
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");
const name = "driftlock-verify.mjs";
const wasm = join(root, "build/wasm/driftlock-verify.wasm");
const { version, license, homepage, repository, engines } = JSON.parse(
  readFileSync(join(root, "package.json"), "utf8"),
);
const [release] = process.argv.slice(2);

if (release !== undefined && !existsSync(wasm)) {
  console.error("build/wasm/driftlock-verify.wasm is missing: run `make wasm`");
  process.exit(1);
}

const module = existsSync(wasm) ? gzipSync(readFileSync(wasm), { level: 9 }).toString("base64") : "";
const licences = "driftlock-verify.licenses.md";
await build({
  configFile: false,
  root,
  logLevel: "warn",
  publicDir: false,
  define: { BUILT: JSON.stringify({ version, module }) },
  ssr: { noExternal: true },
  build: {
    ssr: "src/cli/verify/standalone.ts",
    outDir: dist,
    emptyOutDir: false,
    target: "node22",
    minify: true,
    license: { fileName: licences },
    rolldownOptions: { output: { entryFileNames: name, codeSplitting: false } },
  },
});

// The licences of what the file contains go with it.
const file = join(dist, name);
const texts = readFileSync(join(dist, licences), "utf8") + readFileSync(join(root, "NOTICE"), "utf8");
rmSync(join(dist, licences));
writeFileSync(
  file,
  `#!/usr/bin/env node\n${readFileSync(file, "utf8")}\n/*!\n${texts.replaceAll("*/", "* /")}*/\n`,
  {
    mode: 0o755,
  },
);

if (release !== undefined) {
  copyFileSync(file, join(root, release, name));
  const folder = mkdtempSync(join(tmpdir(), "driftlock-verify-"));
  copyFileSync(file, join(folder, name));
  copyFileSync(join(root, "docs/VERIFYING.md"), join(folder, "README.md"));
  for (const each of ["LICENSE", "NOTICE"]) copyFileSync(join(root, each), join(folder, each));
  const manifest = {
    name: "driftlock-verify",
    version,
    description: "Verifies bundles of evidence of Driftlock, offline, and computes their verdicts again",
    homepage,
    repository,
    license,
    type: "module",
    engines,
    bin: { "driftlock-verify": name },
    files: [name, "NOTICE"],
  };
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
  execFileSync("npm", ["pack", "--silent", "--pack-destination", join(root, release)], {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"],
  });
  rmSync(folder, { recursive: true });
}
