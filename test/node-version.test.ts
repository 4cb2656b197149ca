import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { minimumNode, unsupportedNode } from "../src/base/node-version.ts";

const root = new URL("../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), "utf8");
const path = (name: string) => fileURLToPath(new URL(name, root));

/** Runs a program on this Node.js, which reports another version. */
function run(version: string, ...args: string[]) {
  const pretend = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } })`;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", `data:text/javascript,${encodeURIComponent(pretend)}`, ...args],
    { encoding: "utf8", cwd: path("."), env: { PATH: process.env.PATH } },
  );
  return { status, stdout, stderr };
}

const message = (version: string) =>
  `needs Node.js 22.22 or 24.13, or later in these lines; this is ${version}`;

describe("the minimum of Node.js", () => {
  it.each(["22.22.0", "22.23.3", "24.13.0", "24.21.0", "25.0.0", "26.1.0"])("%s will do", (version) => {
    expect(unsupportedNode(version)).toBeUndefined();
  });

  it.each(["12.22.12", "18.20.8", "20.20.2", "22.12.0", "22.21.1", "23.11.1", "24.12.0"])(
    "%s will not",
    (version) => {
      expect(unsupportedNode(version)).toBe(message(version));
    },
  );

  it("is the same in the package and on all pages", () => {
    expect(minimumNode).toBe("22.22 or 24.13");
    for (const file of ["package.json", "package-lock.json"]) {
      const manifest = JSON.parse(read(file));
      const { engines } = manifest.packages?.[""] ?? manifest;
      expect(engines.node, file).toBe("^22.22.0 || >=24.13.0");
    }
    for (const page of ["README.md", "docs/BUILD.md", "docs/guides/installation.md"]) {
      expect(read(page), page).toContain(`Node.js ${minimumNode}`);
    }
    const major = Number(/NODE_IMAGE=node:(\d+)/.exec(read("Dockerfile"))![1]);
    expect(unsupportedNode(`${major}.99.0`)).toBeUndefined();
  });

  it("is checked by the command line with one line", () => {
    expect(run("22.12.0", "src/cli/main.ts", "run")).toEqual({
      status: 1,
      stdout: "",
      stderr: `driftlock: ${message("22.12.0")}\n`,
    });
    expect(run("22.22.0", "src/cli/main.ts", "validate")).toEqual({ status: 0, stdout: "OK\n", stderr: "" });
  });

  it("is checked by the library before anything else", () => {
    const { status, stderr } = run("20.19.0", "--eval", `import("./src/index.ts")`);
    expect(status).toBe(1);
    expect(stderr).toContain(`Error: driftlock ${message("20.19.0")}\n`);
  });
});
