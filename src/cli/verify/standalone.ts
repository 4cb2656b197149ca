/**
 * driftlock-verify: verifies bundles of evidence with nothing but Node.js. `scripts/standalone.ts` makes one file of it, which contains
 * the WebAssembly module that computes verdicts again.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { decodeReport } from "../../anomaly/report.ts";
import { loadRecompute, type RecomputeOptions } from "../../verify/index.ts";
import { exit, UsageError } from "../shared/io.ts";
import { type FileOptions, verifyFile } from "./verify-file.ts";

/** What the build puts in: the version, and the module, compressed and in base64; empty if there was no compiler for it. */
declare const BUILT: { version: string; module: string };
const built = BUILT;

const usage = `Usage: driftlock-verify FILE [--keys FILE] [--authorities FILE] [--json]

Verifies a bundle of evidence, offline, and computes its verdicts again. See docs/VERIFYING.md of Driftlock.

  --keys FILE         the public keys that you know to be the operator's, in PEM
  --authorities FILE  the certificates of time-stamping authorities that you trust, and lists of
                      revoked ones (CRLs), in PEM
  --json              print the result as JSON
  --version           print the version
`;

function optionsIn(args: string[]): FileOptions | "help" | "version" {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const options = { keys: text, authorities: text, json: flag, help: flag, version: flag };
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    if (values.help) return "help";
    if (values.version) return "version";
    const { keys, authorities, json } = values;
    const [file, ...more] = positionals;
    if (file === undefined || more.length > 0) throw new UsageError("name one file");
    return { file, json, keys, authorities };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

async function computing(): Promise<RecomputeOptions> {
  if (built.module === "") return {};
  const again = await loadRecompute(gunzipSync(Buffer.from(built.module, "base64")));
  return { version: built.version, recompute: (recording) => decodeReport(again(recording)) };
}

async function run(args: string[]): Promise<number> {
  const options = optionsIn(args);
  const out = (text: string) => process.stdout.write(text);
  if (options === "help") out(usage);
  else if (options === "version") out(`driftlock-verify ${built.version}\n`);
  else return verifyFile(options, await computing(), out);
  return exit.ok;
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  const wrong = error instanceof UsageError;
  process.stderr.write(`driftlock-verify: ${(error as Error).message}\n${wrong ? `\n${usage}` : ""}`);
  process.exitCode = wrong ? exit.usage : exit.failure;
}
