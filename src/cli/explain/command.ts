import { createReadStream, existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { Readable } from "node:stream";
import { fileFault } from "../../base/file-fault.ts";
import { anomalyDetailJson } from "../../json/anomaly.ts";
import { incidentDetailJson } from "../../json/incident.ts";
import type { IncidentDetailJson } from "../../json/incident-schema.ts";
import { ApiRefusal, apiClientOf } from "../shared/api-client.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io, UsageError } from "../shared/io.ts";
import { readOptions } from "../shared/options.ts";
import type { Options } from "../shared/parse-options.ts";
import { tenantOf } from "../shared/tenant.ts";
import { configOf, withStore } from "../shared/with-store.ts";
import { renderIncident } from "../terminal/incident.ts";
import { explainAnomaly } from "./explain.ts";
import { type AnomalyDocument, type Found, readAnomalies } from "./read.ts";
import { renderVerdict } from "./render.ts";

export const help = helpText({
  usage: ["explain ID [--tenant TENANT]", "explain ID --url URL [--key KEY]", "explain FILE", "explain -"],
  about: `
Explains an anomaly or an incident to people. Of an incident: the likeliest causes with reasons, the evidence and what joins
it, calls, changes and the timeline. Of an anomaly: one sentence, its channel and field, the record with its novel parts, what was expected
instead, its cost in bits and its score compared with what is usual, and the metrics of window and baseline.

An ID is looked up in the store of the configuration, which may be in use by \`driftlock run\`, or with --url through the
API of a running Driftlock. A FILE, or - for standard input, contains JSON as the API returns it (an anomaly or a list), or
one anomaly per line: an export, live events, or the output of \`driftlock anomalies tail --json\`. Of the output of
\`driftlock replay\`, the flagged lines are explained.`,
  options: [
    ["--tenant TENANT", "the tenant that owns it, if it is looked up in the store (default)"],
    ["--url URL", "the address of the API to ask instead of the store"],
    ["--key KEY", "an API key with the scope read; better passed as the variable DRIFTLOCK_API_KEY"],
  ],
  exit: ["Everything was explained.", "There is no such anomaly or incident, or it cannot be read."],
});

/** Matches the IDs that the engine assigns. */
const idPattern = /^[0-9a-f]{32}$/i;
/** Maximum size of a file, since it is read as a whole. */
const maxSize = 64 * 2 ** 20;
const rule = `\n${"─".repeat(40)}\n\n`;

async function readWhole(input: Readable, name: string): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxSize) throw new Error(`${name}: is larger than 64 MiB; split it by lines`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

async function readFile(path: string): Promise<string> {
  try {
    return await readWhole(createReadStream(path), path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    throw new Error(`${path}: ${fileFault(error as NodeJS.ErrnoException)}`, { cause: error });
  }
}

/** Something that an id stands for: an anomaly, or the text that explains an incident. */
type LookedUp = { anomaly: AnomalyDocument } | { incident: IncidentDetailJson };

async function lookUp(id: string, options: Options, io: Io): Promise<LookedUp> {
  const config = configOf(options, io);
  if (options.values.has("url")) {
    if (options.values.has("tenant")) {
      throw new UsageError("--tenant and --url exclude each other: the API knows the tenant by the key");
    }
    const client = apiClientOf(options, io);
    try {
      return { anomaly: await client.json<AnomalyDocument>(`/v1/anomalies/${id}`) };
    } catch (error) {
      if (!(error instanceof ApiRefusal && error.status === 404)) throw error;
    }
    return { incident: await client.json<IncidentDetailJson>(`/v1/incidents/${id}`) };
  }
  // Opening a store that does not exist would create it.
  const file = join(config.data_dir, "driftlock.db");
  if (config.store.url === undefined && !existsSync(file)) {
    throw new Error(
      `${file}: there is no store; set --config or --data_dir, or query a running Driftlock with --url`,
    );
  }
  const tenant = tenantOf(options.values);
  const found = await withStore(config, async (store) => {
    const { ready, reason } = store.health();
    if (!ready) throw new Error(reason);
    const anomaly = await store.anomalies.get(tenant, id);
    if (anomaly !== undefined) return { anomaly: anomalyDetailJson(anomaly) };
    const incident = await store.incidents.get(tenant, id);
    return incident && { incident: incidentDetailJson(incident, []) };
  });
  if (found === undefined) {
    throw new Error(
      `there is no anomaly or incident ${id} of tenant ${tenant} in the store; \`driftlock incidents list\` and \`driftlock anomalies list\` list the existing ones`,
    );
  }
  return found;
}

async function find(
  what: string,
  options: Options,
  io: Io,
): Promise<Found & { incidents?: IncidentDetailJson[] }> {
  if (what === "-") return readAnomalies(await readWhole(process.stdin, "standard input"), "standard input");
  if (existsSync(what)) return readAnomalies(await readFile(what), what);
  if (!idPattern.test(what)) {
    throw new Error(
      `${what}: is neither an existing file nor the ID of an anomaly or an incident, which has 32 hexadecimal digits`,
    );
  }
  const found = await lookUp(what.toLowerCase(), options, io);
  if ("incident" in found) return { anomalies: [], verdicts: [], incidents: [found.incident] };
  return { anomalies: [found.anomaly], verdicts: [] };
}

export async function run(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, {
    values: ["tenant", "url", "key"],
    positionals: ["ID, FILE or -"],
  });
  const what = options.positionals[0]!;
  const { anomalies, verdicts, incidents = [] } = await find(what, options, io);
  for (const incident of incidents) io.out(renderIncident(incident));
  if (anomalies.length + verdicts.length + incidents.length === 0) {
    throw new Error(`${what === "-" ? "standard input" : what}: contains no anomaly`);
  }
  let before = "";
  for (const anomaly of anomalies) {
    io.out(before + (await explainAnomaly(anomaly, (reason) => io.err(`${anomaly.id}: ${reason}\n`))));
    before = rule;
  }
  for (const verdict of verdicts) {
    io.out(before + renderVerdict(verdict));
    before = rule;
  }
  return exit.ok;
}
