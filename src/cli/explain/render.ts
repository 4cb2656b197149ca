/** Formats an anomaly for people. Texts of records are escaped, so that they cannot control the terminal. */
import { subjects } from "../../anomaly/subjects.ts";
import type { ReportJson } from "../../json/report.ts";
import { type ByteRange, toCells, truncate } from "../terminal/cells.ts";
import { bracketed, flow, wrap } from "../terminal/lines.ts";
import { precise, probability } from "../terminal/numbers.ts";
import type { Excerpts } from "./excerpts.ts";
import type { AnomalyDocument, Verdict } from "./read.ts";

const columns = 100;
const indent = "  ";
/** Maximum number of columns of a text that is quoted on a line of its own. */
const quoted = 240;
/** Maximum number of novel parts that are listed; the text of the record marks all of them. */
const maxParts = 12;

const looksAt: Readonly<Record<string, string>> = subjects;

type Fact = readonly [name: string, value: string];

/** Lists facts with their names in a column of their own. Facts without a value are left out. */
function facts(list: readonly Fact[]): string[] {
  const shown = list.filter(([, value]) => value !== "");
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown.flatMap(([name, value]) =>
    flow(value.split(" "), columns - indent.length - width - 2, " ").map(
      (line, i) => `${indent}${(i === 0 ? name : "").padEnd(width)}  ${line}`,
    ),
  );
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", title, ...lines];
}

const formatNumber = (value: number | null, digits = 3) => (value === null ? "?" : precise(value, digits));
const chance = (p: number | null) => (p === null ? "?" : probability(p));
const plural = (n: number, one: string) => `${n} ${one}${n === 1 ? "" : "s"}`;

/** Formats the time between two times in its two largest units. */
function between(from: string, until: string): string {
  let ms = Date.parse(until) - Date.parse(from);
  if (!(ms > 0)) return "";
  const parts: string[] = [];
  for (const [unit, size] of [
    ["d", 864e5],
    ["h", 36e5],
    ["min", 6e4],
    ["s", 1e3],
    ["ms", 1],
  ] as const) {
    const n = Math.floor(ms / size);
    if (n > 0) parts.push(`${n} ${unit}`);
    ms -= n * size;
  }
  return parts.slice(0, 2).join(" ");
}

/** Formats a time with seconds, such as 2026-01-31 12:00:00 UTC. */
const clock = (time: string) => `${time.slice(0, 19).replace("T", " ")} UTC`;

function marked(text: string, novel: readonly ByteRange[]): string[] {
  return wrap(bracketed(toCells(text, novel)), columns - indent.length).map(
    (line) => indent + line.map((cell) => cell.text).join(""),
  );
}

function sentence(report: ReportJson | null, { stream, state }: AnomalyDocument): string[] {
  const why = report?.explanation || `An anomaly of this stream, which is ${state}, without a report`;
  return flow(truncate(`${stream}: ${why}.`, 1_024).split(" "), columns, " ");
}

function overview(anomaly: AnomalyDocument, report: ReportJson | null): string[] {
  const { start_time: start, end_time: end, occurrences } = anomaly;
  const lasted = between(start, end);
  const until = clock(end) === clock(start) ? "" : ` to ${clock(end)}`;
  const channels = anomaly.channels.filter((channel) => channel !== report?.channel);
  return facts([
    ["anomaly", `${anomaly.id} (${anomaly.state})`],
    ["incident", anomaly.incident ?? ""],
    ["severity", anomaly.severity],
    ["stream", anomaly.stream],
    ["when", `${clock(start)}${until}${lasted && `, ${lasted}`}`],
    ["members", `${plural(occurrences, "flagged verdict")} as one anomaly`],
    [
      "channel",
      report === null ? "" : `${report.channel}: ${looksAt[report.channel] ?? "unknown to this version"}`,
    ],
    ["others", channels.join(", ")],
    ["field", report?.field ?? ""],
    ...(report === null ? [] : [...scores(report), withheldFact(report)]),
    ["trace", report?.trace_id ? `${report.trace_id}${report.span_id && `, span ${report.span_id}`}` : ""],
  ]);
}

function scores({ score, limit, p_value, surprise_bits, baseline_bits, channel }: ReportJson): Fact[] {
  const times = score !== null && limit !== null && limit > 0 ? `, ${precise(score / limit)} times that` : "";
  // A channel without a usual value reports 0; for the channel content, 0 is what known records cost.
  const usual = baseline_bits || channel === "content" ? `, usually ${formatNumber(baseline_bits)}` : "";
  return [
    ["score", `${formatNumber(score)} against the stream's limit of ${formatNumber(limit)}${times}`],
    ["p-value", `${chance(p_value)}: the probability of such a score in the stream's history`],
    ["bits", `${formatNumber(surprise_bits)}${usual}`],
  ];
}

function withheldFact({ withheld }: ReportJson): Fact {
  if (withheld === null) return ["withheld", ""];
  const { count, channel, score, time } = withheld;
  const strangest = `the strangest by ${channel} at ${clock(time)}, ${formatNumber(score)} times the score that one in a hundred exceeds`;
  return ["withheld", `${plural(count, "alarm")} of this stream since the previous one; ${strangest}`];
}

function recordLines({ record, field }: ReportJson): string[] {
  if (record === null) return [];
  const bytes = Buffer.from(record.text);
  const novel = record.novel.filter(({ start, end }) => start < end && end <= bytes.length);
  const fresh = novel.reduce((sum, { start, end }) => sum + end - start, 0);
  const parts = novel.slice(0, maxParts).map(({ start, end }): Fact => {
    return [`${start}-${end}`, JSON.stringify(truncate(bytes.subarray(start, end).toString("utf8"), quoted))];
  });
  if (novel.length > maxParts) parts.push(["", `and ${novel.length - maxParts} more`]);
  const title = `Record (${plural(bytes.length, "byte")}${fresh > 0 ? `, of which ${fresh} are novel, in ⟦ ⟧` : ""})`;
  return [
    ...section(title, marked(record.text, novel)),
    ...section(`Novel bytes, from-to${field && ` (most of them in ${field})`}`, facts(parts)),
  ];
}

/** Formats the usual range or rate with its unit. */
function range(
  { low, high }: { low: number | null; high: number | null },
  { channel }: ReportJson,
  signal: string,
): string {
  if (low === null && high === null) return "";
  const latency = channel === "value" && signal === "traces";
  const scaled = (value: number | null) => (value === null ? "?" : precise(latency ? value / 1e6 : value, 4));
  const unit = latency ? " ms" : channel === "volume" ? " records per tick" : "";
  return `${scaled(low)} to ${scaled(high)}${unit}`;
}

function expectation(report: ReportJson, signal: string): string[] {
  const { expected, channel } = report;
  return facts([
    ["nearest record", truncate(expected?.nearest ?? "", quoted)],
    ...(expected?.next ?? []).map((text, i): Fact => [i === 0 ? "usual next" : "or", truncate(text, quoted)]),
    [channel === "volume" ? "usual rate" : "usual range", expected ? range(expected, report, signal) : ""],
  ]);
}

function measures({ window }: ReportJson, excerpts: Excerpts | undefined): string[] {
  if (window === null) return [];
  const against = (inBaseline: number | undefined) =>
    inBaseline === undefined ? "" : `, in the baseline ${precise(inBaseline)}`;
  return facts([
    [
      "compression ratio",
      `${formatNumber(window.compression_ratio)}${against(excerpts?.metrics.baselineRatio)}`,
    ],
    ["entropy", `${formatNumber(window.entropy)}${against(excerpts?.baselineEntropy)} bits per byte`],
    [
      "delta bits",
      `${formatNumber(window.delta_bits)} bits per byte: the compressed baseline minus the compressed window`,
    ],
    ["NCD", `${formatNumber(window.ncd)}, size-matched ${formatNumber(window.ncd_size_matched)}`],
    [
      "permutation test",
      window.permutations > 0 ? `p = ${chance(window.p_value)} of ${window.permutations} permutations` : "",
    ],
  ]);
}

function members({ examples = [] }: AnomalyDocument, shown: ReportJson | null): string[] {
  return examples
    .filter(({ time, occurrence }) => !(time === shown?.time && occurrence === shown.occurrence))
    .flatMap(({ time, channel, score, record, explanation }) => [
      `${indent}${clock(time)}, ${channel}, score ${formatNumber(score)}`,
      ...(record === null
        ? flow(explanation.split(" "), columns - 2 * indent.length, " ").map((line) => indent + indent + line)
        : marked(record.text, record.novel).map((line) => indent + line)),
    ]);
}

/** Formats an anomaly. @param excerpts those of the first report, if they are stored */
export function renderAnomaly(anomaly: AnomalyDocument, excerpts?: Excerpts): string {
  const { report } = anomaly;
  const window = report?.window;
  const title = window
    ? `Window of ${plural(window.records, "record")}, ${window.codec || "no codec"}, against the baseline`
    : "";
  const lines = [
    ...sentence(report, anomaly),
    "",
    ...overview(anomaly, report),
    ...(report === null
      ? []
      : [
          ...recordLines(report),
          ...section("Expected", expectation(report, anomaly.signal)),
          ...section(title, measures(report, excerpts)),
        ]),
    ...section("What else this anomaly showed", members(anomaly, report)),
    ...section(
      "Feedback",
      facts(
        (anomaly.events ?? []).map(({ state, author, time, note }) => [
          state,
          `${clock(time)}, ${author}${note && `: ${truncate(note, quoted)}`}`,
        ]),
      ),
    ),
  ];
  return `${lines.join("\n")}\n`;
}

/** Formats a verdict of a replay, of which only numbers are known. */
export function renderVerdict({ i, kind, stream, score, p, channel, ...window }: Verdict): string {
  const by = channel === null ? "" : ` by its ${channel}`;
  const what = kind === "record" ? `Record ${i}` : `The window that ends with record ${i}`;
  const { compression_ratio, delta_bits, entropy, ncd, explanation, id, start, end } = window;
  const why = explanation ?? `${what} is strange${by}, with a score of ${formatNumber(score)}`;
  return [
    ...flow(truncate(`${stream}: ${why}.`, 1_024).split(" "), columns, " "),
    "",
    ...facts([
      ["anomaly", id ?? ""],
      ["when", start === undefined || end === undefined ? "" : `${clock(start)} to ${clock(end)}`],
      ["channel", channel === null ? "" : `${channel}: ${looksAt[channel] ?? "unknown to this version"}`],
      ["p-value", `${chance(p)}: the probability of such a score in the stream's history`],
      ["compression ratio", compression_ratio === undefined ? "" : formatNumber(compression_ratio)],
      ["entropy", entropy === undefined ? "" : `${formatNumber(entropy)} bits per byte`],
      ["delta bits", delta_bits === undefined ? "" : `${formatNumber(delta_bits)} bits per byte`],
      ["NCD", ncd === undefined ? "" : formatNumber(ncd)],
    ]),
    "",
  ].join("\n");
}
