/** What the built command loads when it starts: most of the time of a start goes into finding and loading modules. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-start-"));
  writeFileSync(
    join(folder, "record.mjs"),
    `import { appendFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { isMainThread, threadId } from "node:worker_threads";
const file = process.env.LOADED + (isMainThread ? "" : threadId);
registerHooks({
  load(url, context, next) {
    if (url.startsWith("file:")) appendFileSync(file, url + "\\n");
    return next(url, context);
  },
});
`,
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/**
 * Runs the command until it ends, or has printed `until` and the work then is done, and returns the URLs of the modules that each of
 * its threads has loaded, first those of the main thread.
 */
async function loaded(
  args: string[],
  until?: RegExp,
  work?: (found: RegExpExecArray) => Promise<unknown>,
): Promise<string[][]> {
  const runs = mkdtempSync(join(folder, "run-"));
  const child = spawn(process.execPath, ["--import", join(folder, "record.mjs"), main, ...args], {
    env: { PATH: process.env.PATH, LOADED: join(runs, "thread") },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  let output = "";
  let stopped = false;
  for await (const chunk of child.stdout) {
    output += chunk;
    const found = until?.exec(output);
    if (stopped || !found) continue;
    stopped = true;
    await work?.(found);
    child.kill("SIGTERM");
  }
  expect(await exited, output).toEqual([0, null]);
  const files = readdirSync(runs).sort();
  return files.map((name) => readFileSync(join(runs, name), "utf8").trim().split("\n"));
}

/** The names of the packages that modules belong to. */
const packagesOf = (urls: string[]) =>
  [...new Set(urls.flatMap((url) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? []))].sort();

/** The command that runs the sidecar anywhere on this machine. */
function run(data: string): string[] {
  const names = ["receive.grpc", "receive.http", "api"];
  const anywhere = names.flatMap((name) => [`--${name}.endpoint`, "127.0.0.1:0"]);
  return ["run", "--data_dir", join(folder, data), ...anywhere];
}

test("`driftlock version` loads a few files, and of the packages the one that finds the addon", async () => {
  const [urls = []] = await loaded(["version"]);
  expect(packagesOf(urls)).toEqual(["node-gyp-build"]);
  expect(urls.length).toBeLessThanOrEqual(20);
});

test("`driftlock run` with its defaults loads what is packed, and no package that other configurations need", async () => {
  const [urls = []] = await loaded(run("data"), /"listening on /);
  expect(urls.some((url) => url.includes("/dist/packed/"))).toBe(true);
  const found = packagesOf(urls);
  expect(found).toContain("pino");
  for (const name of [
    "@grpc/grpc-js",
    "@modelcontextprotocol/server",
    "@opentelemetry/sdk-trace-node",
    "@platformatic/kafka",
    "@redis/client",
    "fastify",
    "kysely",
    "nodemailer",
    "openid-client",
    "pdfkit",
    "pkijs",
    "stripe",
    "zod",
  ])
    expect(found).not.toContain(name);
  expect(urls.length).toBeLessThanOrEqual(300);
});

test("the thread that makes evidence loads what is packed", async () => {
  const threads = await loaded(run("evidence"), /"addresses":\{[^}]*"api":"([^"]+)"/, async ([, api]) => {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ incident: "0".repeat(32) });
    const { status } = await fetch(`http://${api}/v1/evidence`, { method: "POST", headers, body });
    expect(status).toBe(404);
  });
  const urls = threads.find(([url]) => url!.endsWith("/dist/evidence/making-worker.js"))!;
  const found = packagesOf(urls);
  for (const name of ["@bufbuild/protobuf", "kysely", "yaml", "zod"]) expect(found).not.toContain(name);
  expect(urls.length).toBeLessThanOrEqual(150);
});
