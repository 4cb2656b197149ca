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
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
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
  for (const name of [...Object.keys(manifest.dependencies), "@types/node"]) {
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

  it("has types that imports of ES modules and of bundlers find", () => {
    const found = run(bin("attw"), ["--profile", "esm-only", "--no-emoji", "--no-color", tarball]);
    const rows = found.match(/^│ "driftlock.* │ OK \((ESM|JSON)\) +│ OK /gm);
    expect(rows).toHaveLength(Object.keys(manifest.exports).length);
  });

  it.each([
    [
      "mjs",
      `import { Driftlock } from "driftlock";
import { Engine, parseConfig } from "driftlock/engine";
import { ncd } from "driftlock/math";`,
    ],
    [
      "cjs",
      `const { Driftlock } = require("driftlock");
const { Engine, parseConfig } = require("driftlock/engine");
const { ncd } = require("driftlock/math");`,
    ],
  ])("works in a .%s file", (ending, load) => {
    const file = join(folder, `consumer.${ending}`);
    writeFileSync(
      file,
      `${load}
const text = Buffer.from("GET /cart 200\\n".repeat(50));
if (ncd(text, text, "zstd") > 0.1) throw new Error("ncd");
const engine = new Engine(parseConfig({}).detect, { mode: "all" });
engine.process("logs", "default", Buffer.alloc(0))
  .then(({ records }) => engine.close().then(() => console.log("records", records)))
  .then(() => {
    const driftlock = new Driftlock();
    driftlock.text("orders", "order 1 paid");
    return driftlock.close().then(() => console.log("judged", driftlock.stats().judged));
  });
`,
    );
    expect(run(process.execPath, ["--no-warnings", file])).toBe("records 0\njudged 1\n");
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
    writeFileSync(join(folder, "wrong.mts"), 'import { ncd } from "driftlock/math";\nncd("a", "b");\n');
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
documented.push("base/error-codes", "config/problem", "otlp/protocol", "math");
documented.push("sdk/driftlock", "sdk/event", "sdk/options", "sdk/records", "sdk/shared");
documented.push("sdk/otel/exporter", "sdk/otel/processors", "sdk/llm/clients");
documented.push("sdk/pino", "sdk/winston", "sdk/fastify", "sdk/express");

/** The files that declare what users import. */
const entrances = ["index", "math", "sdk/index", "sdk/otel/index", "sdk/llm/index"];
entrances.push("sdk/pino", "sdk/winston", "sdk/fastify", "sdk/express");

describe("the documentation in the declarations", () => {
  const exported = () =>
    new Set(
      entrances.flatMap((name) => readFileSync(join(unpacked, `dist/${name}.d.ts`), "utf8").match(/\w+/g)),
    );

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
