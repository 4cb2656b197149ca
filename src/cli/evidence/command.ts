import type { BundleJson } from "../../api/evidence.ts";
import { plural } from "../../base/plural.ts";
import { toJson } from "../../base/printable.ts";
import type { Bundle, BundleContent } from "../../evidence/bundle.ts";
import { accessHelp, clientOf, readAsked, shortTime } from "../shared/ask.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io, UsageError } from "../shared/io.ts";
import { readOptions } from "../shared/options.ts";
import { callAction } from "../shared/subcommand.ts";
import { truncate } from "../terminal/cells.ts";
import { table } from "../terminal/table.ts";
import { report } from "./report.ts";
import { write } from "./write.ts";

export const help = helpText({
  usage: [
    "evidence create (--anomaly ID | --incident ID) [--output FILE] [--json]",
    "evidence list [--limit 100] [--after CURSOR] [--json]",
    "evidence show ID [--output FILE [--pdf]] [--json]",
    "evidence delete ID",
    "evidence report INCIDENT [--template ID [--output FILE]] [--format text]",
    "evidence report INCIDENT --template ID [--set NUMBER=VALUE] [--unset NUMBER] [--replace] [--submitted TIME]",
    "evidence report INCIDENT --moment NAME=TIME",
  ],
  about: `
Makes signed bundles of evidence through the API of a running Driftlock, and fetches them. A bundle holds all that is stored
about an anomaly or an incident. \`driftlock verify\` checks it, without Driftlock running.`,
  lists: [
    [
      "Actions",
      [
        ["create", "make a bundle and store it"],
        ["list", "list the bundles, the latest first"],
        ["show", "print what a bundle says, or write its file"],
        ["delete", "delete a bundle, which the audit log notes"],
        ["report", "list the reports of an incident to authorities, or fill in one of them"],
      ],
    ],
  ],
  options: [
    ["--anomaly ID", "what the bundle is about"],
    ["--incident ID", "what the bundle is about, with all anomalies of the incident"],
    ["--output FILE", "write the file of the bundle there, byte for byte"],
    ["--pdf", "fetch the bundle as PDF; needs --output"],
    ["--template ID", "the report that `report` fills in, such as dora-initial"],
    [
      "--format FORMAT",
      "of `report`: text, json, structure (as supervisors read it), or pdf, which needs --output",
    ],
    ["--set NUMBER=VALUE", "enter the value of a field; several values of one field are a list"],
    ["--unset NUMBER", "remove what was entered for a field"],
    ["--replace", "also replace what is filled in automatically or by the configuration"],
    ["--submitted TIME", "enter when the report was submitted; once for each time, and empty to remove all"],
    ["--moment NAME=TIME", "enter when it was `aware`, `classified` or `fix_available`; empty to remove it"],
    ["--limit N", "how many bundles `list` prints at most (100)"],
    ["--after CURSOR", "continue a list behind the cursor that it ended with"],
    ["--json", "print JSON, one line per bundle; `show` prints the content"],
    ...accessHelp,
  ],
  notes: "`create`, `show`, `delete`, and entering something need a key with the scope admin.",
  exit: ["The API answered.", "The API refused the request or cannot be reached."],
});

/** Bundles are made one after another, many at one per two seconds, so that this one may have to wait. */
const createMs = 300_000;

const pathOf = (id: string) => `/v1/evidence/${encodeURIComponent(id)}`;

async function create(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, {
    values: ["url", "key", "anomaly", "incident", "output"],
    switches: ["json"],
  });
  const [anomaly, incident] = [options.values.get("anomaly"), options.values.get("incident")];
  if ((anomaly === undefined) === (incident === undefined)) {
    throw new UsageError("create needs either --anomaly or --incident");
  }
  const client = clientOf(options, io);
  const made = await client.post<BundleJson>(
    "/v1/evidence",
    anomaly === undefined ? { incident } : { anomaly },
    createMs,
  );
  const output = options.values.get("output");
  if (output !== undefined) write(output, await client.bytes(pathOf(made.id), "application/json"));
  io.out(options.switches.has("json") ? `${toJson(made)}\n` : `${made.id}\n`);
  return exit.ok;
}

async function list(args: string[], io: Io): Promise<number> {
  const asked = readAsked(args, { filters: ["limit", "after"] }, io);
  const page = await asked.client.json<{ items: BundleJson[]; next?: string }>("/v1/evidence", asked.query);
  if (asked.json) {
    for (const item of page.items) io.out(`${toJson(item)}\n`);
  } else {
    const rows = page.items.map((item) => [
      shortTime(item.created_at),
      item.id,
      item.incident === null ? `anomaly ${item.anomaly}` : `incident ${item.incident}`,
      String(item.size),
      item.author,
      item.sha256,
    ]);
    io.out(table(["CREATED", "ID", "ABOUT", "BYTES", "BY", "SHA-256"], rows));
  }
  if (page.next !== undefined) io.err(`There are more bundles; continue with --after ${page.next}\n`);
  return exit.ok;
}

function stampOf({ timestamping }: BundleContent): string {
  if (!timestamping) return "no";
  const { authority, missing } = timestamping;
  return missing === null ? `by ${authority}` : `no: the authority ${authority} ${missing}`;
}

function summary(content: BundleContent): string {
  const { subject, signing, audit } = content;
  const facts: [string, string][] = [
    ["id", content.id],
    ["tenant", content.tenant],
    ["about", [...subject.incidents, ...subject.anomalies].join(", ")],
    ["made", `${content.created_at} by ${content.author}`],
    ["key", signing.key_id],
    ["stamped", stampOf(content)],
    ["version", content.versions.driftlock],
    ["audit log", `${plural(audit.entries.length, "entry", "entries")} about it`],
    ...content.incidents.map((incident): [string, string] => ["incident", incident.sentence]),
    ...content.anomalies.map((anomaly): [string, string] => [
      "anomaly",
      `${anomaly.id} ${anomaly.reports[0]?.report.explanation ?? ""}`,
    ]),
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  return facts.map(([name, value]) => `${name.padEnd(width)}  ${truncate(value, 512)}\n`).join("");
}

async function show(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, {
    values: ["url", "key", "output"],
    switches: ["pdf", "json"],
    positionals: ["ID"],
  });
  const output = options.values.get("output");
  const pdf = options.switches.has("pdf");
  if (pdf && output === undefined) throw new UsageError("--pdf needs --output, since a PDF is no text");
  const bytes = await clientOf(options, io).bytes(
    pathOf(options.positionals[0]!),
    pdf ? "application/pdf" : "application/json",
  );
  if (output !== undefined) {
    write(output, bytes);
    return exit.ok;
  }
  const { content } = JSON.parse(Buffer.from(bytes).toString()) as Bundle;
  io.out(options.switches.has("json") ? `${toJson(content)}\n` : summary(content));
  return exit.ok;
}

async function remove(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { values: ["url", "key"], positionals: ["ID"] });
  await clientOf(options, io).delete(pathOf(options.positionals[0]!));
  return exit.ok;
}

export function run(args: string[], io: Io): Promise<number> {
  return callAction("evidence", { create, list, show, delete: remove, report }, args, io);
}
