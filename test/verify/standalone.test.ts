/** driftlock-verify.mjs as an auditor has it: one file in an empty folder. */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Bundle } from "../../src/evidence/bundle.ts";
import { packageVersion } from "../../src/version.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const hasModule = existsSync(join(root, "build/wasm/driftlock-verify.wasm"));
let folder: string;
let bundle: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-verify-"));
  copyFileSync(join(root, "dist/driftlock-verify.mjs"), join(folder, "driftlock-verify.mjs"));
  bundle = readFileSync(join(root, "test/verify/bundles/format-13.evidence"), "utf8");
  writeFileSync(join(folder, "evidence.json"), bundle);
  writeFileSync(join(folder, "operator.pem"), (JSON.parse(bundle) as Bundle).content.signing.public_key);
  copyFileSync(join(root, "test/verify/bundles/format-13.pem"), join(folder, "authority.pem"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["driftlock-verify.mjs", ...args], {
    cwd: folder,
    env: {},
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

describe("driftlock-verify.mjs", () => {
  it("verifies a bundle", () => {
    const trusted = ["--keys", "operator.pem", "--authorities", "authority.pem"];
    const { status, stdout, stderr } = run("evidence.json", ...trusted);
    expect(stderr).toBe("");
    expect(status).toBe(0);
    const unchecked = stdout.split("\n").filter((line) => line.startsWith("not checked"));
    expect(unchecked.filter((line) => !/recordings|incidents/.test(line))).toEqual([]);
    expect(stdout).toContain("No check failed.");
  });

  it.skipIf(!hasModule)("computes verdicts again", () => {
    const { checks } = JSON.parse(run("evidence.json", "--json").stdout);
    const { ok, details } = checks.find(({ name }: { name: string }) => name === "recordings");
    expect([ok, details[0]]).toEqual([
      true,
      expect.stringMatching(/^(\d) of \1 verdicts were computed again/),
    ]);
  });

  it.skipIf(!hasModule)("says what it takes from the bundle, as `driftlock verify` does", () => {
    const own = join(root, "test/verify/bundles/format-14.evidence");
    const recordings = (output: string) => {
      const { checks } = JSON.parse(output);
      return checks.find(({ name }: { name: string }) => name === "recordings");
    };
    const found = recordings(run(own, "--json").stdout);
    expect(found).toMatchObject({
      ok: true,
      details: [
        expect.stringMatching(/^(\d) of \1 verdicts were computed again/),
        expect.stringContaining("what the operator's own detectors found (employee_id)"),
        expect.stringContaining("1 value that the operator's allow-list permits"),
      ],
    });
    const command = [join(root, "dist/cli/main.js"), "verify", own, "--json"];
    const { stdout } = spawnSync(process.execPath, command, { cwd: folder, env: {}, encoding: "utf8" });
    expect(recordings(stdout)).toEqual(found);
  });

  it("names what was altered", () => {
    writeFileSync(join(folder, "altered.json"), bundle.replace('"author":"ann"', '"author":"eve"'));
    const { status, stdout } = run("altered.json");
    expect(status).toBe(1);
    expect(stdout).toMatch(/FAILED +digest .*altered:\s+author/s);
  });

  it("says how it is used, and what it is", () => {
    expect(run("--version")).toEqual({
      status: 0,
      stdout: `driftlock-verify ${packageVersion()}\n`,
      stderr: "",
    });
    expect(run("--help").stdout).toContain("Usage: driftlock-verify FILE");
    expect(run()).toMatchObject({ status: 2, stderr: expect.stringContaining("name one file") });
    expect(run("nothing.json")).toMatchObject({ status: 1, stderr: expect.stringContaining("nothing.json") });
    expect(run("evidence.json", "--bogus").stderr).toContain("--bogus");
  });
});
