/**
 * Runs a prebuilt addon on its own platform, and compares what it finds with the golden files of test/golden, to the last bit:
 * try-prebuild.ts COMMAND... where the command runs that platform's Node.js, such as `qemu-aarch64-static -L ROOT ROOT/bin/node`.
 * For musl, LIBC=musl has to be in the environment.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { otlpSets } from "../test/golden/otlp-sets.ts";
import { expectReplay, goldenReplays } from "../test/golden/replays.ts";

const [program, ...before] = process.argv.slice(2);
if (program === undefined) throw new Error("usage: try-prebuild.ts COMMAND...");
const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

async function run(args: string[]): Promise<string> {
  // Otherwise node-gyp-build takes the addon that was built here.
  const env = { ...process.env, PREBUILDS_ONLY: "1" };
  const { stdout } = await promisify(execFile)(program!, [...before, main, ...args], {
    env,
    maxBuffer: 2 ** 28,
  });
  return stdout;
}

const folder = mkdtempSync(join(tmpdir(), "driftlock-prebuild-"));
try {
  console.log(await run(["version"]));
  for (const replay of goldenReplays(await otlpSets())) {
    await expectReplay(replay, folder, run);
    console.log(`${replay.name}: the same bytes`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
