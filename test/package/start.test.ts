/** What the built command loads when it starts: most of the time of a start goes into finding and loading modules. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
import { isMainThread } from "node:worker_threads";
if (isMainThread) registerHooks({
  load(url, context, next) {
    if (url.startsWith("file:")) appendFileSync(process.env.LOADED, url + "\\n");
    return next(url, context);
  },
});
`,
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the command until it ends, or has printed `until`, and returns the URLs of the modules that its main thread has loaded. */
async function loaded(args: string[], until?: RegExp): Promise<string[]> {
  const file = join(folder, `${args[0]}.txt`);
  const child = spawn(process.execPath, ["--import", join(folder, "record.mjs"), main, ...args], {
    env: { PATH: process.env.PATH, LOADED: file },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  let output = "";
  let stopped = false;
  for await (const chunk of child.stdout) {
    output += chunk;
    if (stopped || !until?.test(output)) continue;
    stopped = true;
    child.kill("SIGTERM");
  }
  expect(await exited, output).toEqual([0, null]);
  return readFileSync(file, "utf8").trim().split("\n");
}

/** The names of the packages that modules belong to. */
const packagesOf = (urls: string[]) =>
  [...new Set(urls.flatMap((url) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? []))].sort();

test("`driftlock version` loads a few files, and of the packages the one that finds the addon", async () => {
  const urls = await loaded(["version"]);
  expect(packagesOf(urls)).toEqual(["node-gyp-build"]);
  expect(urls.length).toBeLessThanOrEqual(20);
});

test("`driftlock run` with its defaults loads what is packed, and no package that other configurations need", async () => {
  const anywhere = ["receive.grpc", "receive.http", "api"].flatMap((name) => [
    `--${name}.endpoint`,
    "127.0.0.1:0",
  ]);
  const urls = await loaded(["run", "--data_dir", join(folder, "data"), ...anywhere], /"listening on /);
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
