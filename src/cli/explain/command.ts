import { existsSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import type { Readable } from "node:stream";
import { defaultTenant } from "../../access/principal.ts";
import { anomalyDetailJson } from "../../api/anomaly.ts";
import { ApiClient } from "../shared/api-client.ts";
import { exit, type Io, UsageError } from "../shared/io.ts";
import { type OwnOptions, takeOwnOptions } from "../shared/own-options.ts";
import { configOf, withStore } from "../shared/with-store.ts";
import { type AnomalyDocument, type Found, readAnomalies } from "./read.ts";
import { renderAnomaly, renderVerdict } from "./render.ts";

export const help = `Usage: driftlock explain ID|FILE|- [--tenant TENANT] [--url URL [--key KEY]]

Explains an anomaly for people: one sentence, then its channel and field, the record with what is new in it, what was
expected, its bits and score against what is usual, and the figures of window and baseline.

An ID is looked up in the store of the configuration, also while \`driftlock run\` uses it; with --url it is asked of a
running Driftlock. A FILE, or - for standard input, is JSON as the API gives it (an anomaly or a list) or has an anomaly
a line: an export, live events, \`driftlock anomalies tail --json\`. Of a replay's lines those that were flagged are shown.

  --tenant TENANT  whose anomaly it is, in the store (default)
  --url URL        of the API, in place of the store
  --key KEY        an API key with the scope read, for it; better by the variable DRIFTLOCK_API_KEY
  --config FILE    the configuration in YAML; every key of it is a flag as well

Exit code: 0, 1 where there is nothing to explain or it cannot be read, 2 for wrong usage.
`;

/** As the engine makes them. */
const idPattern = /^[0-9a-f]{32}$/i;
/** Of a file, which is read whole. */
const maxSize = 64 * 2 ** 20;
const rule = `\n${"─".repeat(40)}\n\n`;

async function readWhole(input: Readable, name: string): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxSize) throw new Error(`${name}: is larger than 64 MiB; give it in parts, by lines`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

async function readFile(path: string): Promise<string> {
  if ((await stat(path)).isDirectory()) throw new Error(`${path}: is a folder, no file`);
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`${path}: cannot be read (${error.message})`, { cause: error });
  });
  return readWhole(file.createReadStream(), path);
}

async function lookUp(id: string, own: OwnOptions, io: Io): Promise<AnomalyDocument> {
  const config = configOf(own.rest, io);
  const url = own.values.get("url");
  if (url !== undefined) {
    if (!URL.canParse(url)) throw new UsageError(`--url is no URL: ${url}`);
    if (own.values.has("tenant"))
      throw new UsageError("--tenant is of the store; the API knows it by the key");
    const client = new ApiClient(url, own.values.get("key") ?? io.env.DRIFTLOCK_API_KEY);
    return client.json<AnomalyDocument>(`/v1/anomalies/${id}`);
  }
  // A store that is opened where there is none would be made.
  const file = join(config.data_dir, "driftlock.db");
  if (config.store.url === undefined && !existsSync(file)) {
    throw new Error(
      `${file}: there is no store; set --config or --data_dir, or ask a running Driftlock by --url`,
    );
  }
  const tenant = own.values.get("tenant") ?? defaultTenant;
  const found = await withStore(config, async (store) => {
    const { ready, reason } = store.health();
    if (!ready) throw new Error(reason);
    return store.anomalies.get(tenant, id);
  });
  if (found === undefined) {
    throw new Error(
      `there is no anomaly ${id} of tenant ${tenant} in the store; \`driftlock anomalies list\` has those there are`,
    );
  }
  return anomalyDetailJson(found);
}

async function find(what: string, own: OwnOptions, io: Io): Promise<Found> {
  if (what === "-") return readAnomalies(await readWhole(process.stdin, "standard input"), "standard input");
  if (existsSync(what)) return readAnomalies(await readFile(what), what);
  if (!idPattern.test(what)) {
    throw new Error(
      `${what}: is neither a file that is there nor an anomaly's ID, which has 32 hexadecimal digits`,
    );
  }
  return { anomalies: [await lookUp(what.toLowerCase(), own, io)], verdicts: [] };
}

async function explain(anomaly: AnomalyDocument, io: Io): Promise<string> {
  const { excerpts, first } = anomaly;
  if (!excerpts || !first?.window) return renderAnomaly(anomaly);
  // The addon is loaded where there is something to compute.
  const { readExcerpts } = await import("./excerpts.ts");
  try {
    return renderAnomaly(anomaly, readExcerpts(excerpts, first.window.codec));
  } catch (error) {
    io.err(`${anomaly.id}: its excerpts are left out: ${(error as Error).message}\n`);
    return renderAnomaly(anomaly);
  }
}

export async function run(args: string[], io: Io): Promise<number> {
  const own = takeOwnOptions(args, ["tenant", "url", "key"], []);
  const [what, ...more] = own.positionals;
  if (what === undefined || more.length > 0) {
    throw new UsageError(
      "explain takes one anomaly's ID, or a file that has anomalies, or - for standard input",
    );
  }
  const { anomalies, verdicts } = await find(what, own, io);
  if (anomalies.length + verdicts.length === 0) {
    throw new Error(`${what === "-" ? "standard input" : what}: holds no anomaly`);
  }
  let before = "";
  for (const anomaly of anomalies) {
    io.out(before + (await explain(anomaly, io)));
    before = rule;
  }
  for (const verdict of verdicts) {
    io.out(before + renderVerdict(verdict));
    before = rule;
  }
  return exit.ok;
}
