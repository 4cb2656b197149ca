import type { NotableJson } from "../../api/notable.ts";
import { toJson } from "../../base/printable.ts";
import { accessHelp, readAsked, shortTime } from "../shared/ask.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io } from "../shared/io.ts";
import { table } from "../terminal/table.ts";

export const help = helpText({
  usage: ["notable [--from TIME] [--until TIME] [--limit 20] [--json]"],
  about: `
Lists what came closest to being an anomaly in a running Driftlock, the strangest first: the strangest verdict of each stream
and hour that was not flagged. MARGIN is the part of the necessary rarity that it reached.`,
  options: [
    ["--from TIME", "the earliest time: RFC 3339, or how long ago, such as 2h"],
    ["--until TIME", "the latest time, in the same form"],
    ["--limit N", "how many are printed at most (20)"],
    ["--json", "print JSON as the API returns it, one line per item"],
    ...accessHelp,
  ],
  exit: ["The API answered.", "The API refused the request or cannot be reached."],
});

export async function run(args: string[], io: Io): Promise<number> {
  const asked = readAsked(args, { filters: ["from", "until", "limit"] }, io);
  if (!asked.query.has("limit")) asked.query.set("limit", "20");
  const { items } = await asked.client.json<{ items: NotableJson[] }>("/v1/notable", asked.query);
  if (asked.json) {
    for (const item of items) io.out(`${toJson(item)}\n`);
    return exit.ok;
  }
  const rows = items.map(({ stream, report }) => [
    shortTime(report.time),
    report.margin === null ? "" : report.margin.toFixed(2),
    report.channel,
    stream,
    report.explanation,
  ]);
  io.out(table(["TIME", "MARGIN", "CHANNEL", "STREAM", "WHY"], rows));
  return exit.ok;
}
