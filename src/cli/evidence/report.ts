/** Prints the reports of an incident to authorities, and writes one of them. */
import { toJson } from "../../base/printable.ts";
import { enteredText, isDraft, type Report } from "../../evidence/reports/index.ts";
import { clientOf, shortTime } from "../shared/ask.ts";
import { exit, type Io, UsageError } from "../shared/io.ts";
import { readOptions } from "../shared/options.ts";
import { table } from "../terminal/table.ts";
import { enter, entering } from "./enter.ts";
import { write } from "./write.ts";

const formats = ["text", "json", "structure", "pdf"];

function toText({ title, disclaimer, due, sections }: Report): string {
  const lines = sections.flatMap((section) => [
    "",
    section.title,
    ...section.fields.map((field) => {
      const { number, name, value, blank } = field;
      const shown =
        value === null ? `(blank: ${blank})` : typeof value === "string" ? value : value.join("\n    ");
      const by = enteredText(field);
      return `  ${number}  ${name}: ${isDraft(field) ? "DRAFT: " : ""}${shown}${by === undefined ? "" : `\n    (${by})`}`;
    }),
  ]);
  return [title, disclaimer, "", ...due.reasons, ...lines, ""].join("\n");
}

async function listReports(
  path: string,
  client: ReturnType<typeof clientOf>,
  asJson: boolean,
  io: Io,
): Promise<void> {
  const { reports } = await client.json<{ reports: Report[] }>(path);
  if (asJson) {
    for (const report of reports) io.out(`${toJson(report)}\n`);
    return;
  }
  const rows = reports.map(({ template, due, title }) => [
    template,
    due.state,
    due.at === undefined ? "" : shortTime(due.at),
    due.missing.join(", "),
    title,
  ]);
  io.out(table(["TEMPLATE", "STATE", "DUE", "WAITS FOR", "TITLE"], rows));
}

export async function report(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, {
    values: ["url", "key", "template", "format", "output"],
    lists: entering.lists,
    switches: entering.switches,
    positionals: ["INCIDENT"],
  });
  const { values } = options;
  const [template, output, format = "text"] = [
    values.get("template"),
    values.get("output"),
    values.get("format"),
  ];
  if (!formats.includes(format)) throw new UsageError(`--format must be one of ${formats.join(", ")}`);
  if (format === "pdf" && output === undefined) {
    throw new UsageError("--format pdf needs --output, since a PDF is no text");
  }
  const client = clientOf(options, io);
  const all = `/v1/incidents/${encodeURIComponent(options.positionals[0]!)}/reports`;
  const changed = await enter(options, all, client);
  if (template === undefined) {
    if (output !== undefined || !["text", "json"].includes(format)) {
      throw new UsageError("--template is missing; `evidence report INCIDENT` lists the templates");
    }
    await listReports(all, client, format === "json", io);
    return exit.ok;
  }
  if (changed && output === undefined && values.get("format") === undefined) return exit.ok;
  const path = `${all}/${encodeURIComponent(template)}`;
  const asked = format === "text" ? "json" : format;
  const type = format === "pdf" ? "application/pdf" : "application/json";
  const bytes = await client.bytes(`${path}?format=${asked}`, type);
  const text = () => {
    const answer = JSON.parse(Buffer.from(bytes).toString());
    return format === "text" ? toText(answer) : `${toJson(answer)}\n`;
  };
  if (output === undefined) io.out(text());
  else write(output, format === "text" ? Buffer.from(text()) : bytes);
  return exit.ok;
}
