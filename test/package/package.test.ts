/** The package as users receive it: packed, unpacked, and used from ESM, CommonJS and TypeScript. */
import { execFileSync } from "node:child_process";
import {
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { publint } from "publint";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const bin = (name: string) => join(root, "node_modules", ".bin", name);
let folder: string;
let tarball: string;
let unpacked: string;

const run = (file: string, args: string[]) =>
  execFileSync(file, args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-package-"));
  execFileSync("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  tarball = join(folder, readdirSync(folder)[0]!);
  // The folder is a package of its own, whatever the folders above contain.
  writeFileSync(join(folder, "package.json"), '{ "name": "consumer", "private": true }');
  const modules = join(folder, "node_modules");
  unpacked = join(modules, "driftlock");
  mkdirSync(unpacked, { recursive: true });
  run("tar", ["-xzf", tarball, "-C", unpacked, "--strip-components=1"]);
  // An install would build this file.
  cpSync(join(root, "build/Release/driftlock.node"), join(unpacked, "build/Release/driftlock.node"));
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  for (const name of [...Object.keys(dependencies), "@types/node"]) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(root, "node_modules", name), join(modules, name));
  }
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the package", () => {
  it("has nothing that publint finds fault with", async () => {
    const { messages } = await publint({ pkgDir: unpacked, pack: false, strict: true });
    expect(messages).toEqual([]);
  });

  it("has types that every kind of import finds", () => {
    // All supported versions of Node.js load ES modules with require, which the rule does not know yet.
    const args = ["--profile", "node16", "--ignore-rules", "cjs-resolves-to-esm"];
    const found = run(bin("attw"), [...args, "--no-emoji", "--no-color", tarball]);
    expect(found.match(/(node16 \(from CJS\)|node16 \(from ESM\)|bundler) +│ OK/g)).toHaveLength(3);
  });

  it.each([
    ["mjs", 'import { Engine, ncd, parseConfig } from "driftlock";'],
    ["cjs", 'const { Engine, ncd, parseConfig } = require("driftlock");'],
  ])("works in a .%s file", (ending, load) => {
    const file = join(folder, `consumer.${ending}`);
    writeFileSync(
      file,
      `${load}
const text = Buffer.from("GET /cart 200\\n".repeat(50));
if (ncd(text, text, "zstd") > 0.1) throw new Error("ncd");
const engine = new Engine(parseConfig({}).detect, { mode: "all" });
engine.process("logs", "default", Buffer.alloc(0))
  .then(({ records }) => engine.close().then(() => console.log("records", records)));
`,
    );
    expect(run(process.execPath, ["--no-warnings", file])).toBe("records 0\n");
  });

  it("has types for strict modules of both kinds", () => {
    const check = (...files: string[]) =>
      run(bin("tsc"), [
        "--noEmit",
        "--types",
        "node",
        "--module",
        "nodenext",
        "--target",
        "es2024",
        "--strict",
        ...files,
      ]);
    for (const file of ["consumer.mts", "consumer.cts"]) {
      cpSync(join(root, "test/package/consumer.ts.txt"), join(folder, file));
    }
    check("consumer.mts", "consumer.cts");
    // The check is able to fail.
    writeFileSync(join(folder, "wrong.mts"), 'import { ncd } from "driftlock";\nncd("a", "b");\n');
    expect(() => check("--skipLibCheck", "wrong.mts")).toThrow();
  });
});

/** Declarations that the index reaches, except those that are generated from .proto files and schemas. */
const documented = [
  "index",
  "native",
  "engine/engine",
  "engine/statistics",
  "anomaly/report",
  "anomaly/names",
];
documented.push("base/error-codes", "config/problem", "otlp/protocol");

describe("the documentation in the declarations", () => {
  const exported = () => new Set(readFileSync(join(unpacked, "dist/index.d.ts"), "utf8").match(/\w+/g));

  /** Yields each line that declares something exported, or a member of it, and the line before it. */
  function* declarations(name: string) {
    const names = exported();
    let inside = false;
    let before = "";
    for (const line of readFileSync(join(unpacked, `dist/${name}.d.ts`), "utf8").split("\n")) {
      const [, kind, top] =
        /^export (?:declare )?(const|class|interface|type|function) (\w+)/.exec(line) ?? [];
      if (top !== undefined && names.has(top)) yield { line, before };
      if (top !== undefined) inside = names.has(top) && (kind === "class" || kind === "interface");
      else if (inside && /^ {4}(?:readonly )?\w+\??[:(]/.test(line)) yield { line: line.trim(), before };
      before = line.trim();
    }
  }

  it.each(documented)("describes every export and member of %s", (name) => {
    const bare = [...declarations(name)].filter(({ before }) => !before.endsWith("*/"));
    expect(bare.map(({ line }) => line)).toEqual([]);
  });

  it("is there", () => {
    expect(globSync("dist/**/*.d.ts", { cwd: unpacked })).toEqual(
      expect.arrayContaining(documented.map((name) => `dist/${name}.d.ts`)),
    );
    expect(documented.flatMap((name) => [...declarations(name)]).length).toBeGreaterThan(120);
  });
});
