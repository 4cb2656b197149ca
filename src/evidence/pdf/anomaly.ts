/** The part about one anomaly. */
import { subjects } from "../../anomaly/subjects.ts";
import type { ReportJson } from "../../json/report.ts";
import type { BundleAnomaly } from "../bundle.ts";
import { colors, type Paper } from "./paper.ts";
import { plotHeight, scorePlot, valuePlot } from "./plots.ts";
import { drawRecord } from "./record.ts";
import { chance, clockTime, figure, longTime, readableUnit, span } from "./words.ts";

/** What people call the score of a channel. */
const known = (channel: string): string =>
  channel in subjects ? subjects[channel as keyof typeof subjects] : "";

const reportsOf = (anomaly: BundleAnomaly) => anomaly.reports.map(({ report }) => report);

/** The rarest report, which the anomaly is shown by. */
export function strongest(anomaly: BundleAnomaly): ReportJson | undefined {
  const kept = anomaly.reports.find(({ roles }) => roles.includes("strongest")) ?? anomaly.reports[0];
  return kept?.report;
}

const withStop = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);
export const sentence = (text: string) => withStop(text.charAt(0).toUpperCase() + text.slice(1));

/** How sure it is, in words. */
export function certainty({ p_value, margin, score, limit }: ReportJson): string {
  const parts = [
    ...(score !== null && limit !== null
      ? [`The score is ${figure(score)}; the limit that the stream's own past sets is ${figure(limit)}.`]
      : []),
    ...(p_value === null ? [] : [chance(p_value)]),
    ...(margin === null ? [] : [`It is ${figure(margin)} times rarer than it must be to be flagged.`]),
  ];
  return parts.length === 0 ? "No figure says how sure it is." : parts.join(" ");
}

function plots(paper: Paper, reports: readonly ReportJson[]): void {
  const byTime = reports.toSorted((a, b) => (a.time < b.time ? -1 : 1));
  const scored = byTime.flatMap(({ time, score, limit, channel }) =>
    score === null ? [] : [{ time: Date.parse(time), value: score, low: null, high: limit, channel }],
  );
  // Channels have units of their own, so only scores of one go together.
  const channel = scored[0]?.channel;
  const same = scored.filter((point) => point.channel === channel);
  if (same.length > 0) {
    paper.heading("H3", `Score and limit (${channel})`, plotHeight);
    scorePlot(paper, same, "");
  }
  const valued = byTime.flatMap(({ time, value, expected, unit }) =>
    value === null
      ? []
      : [{ time: Date.parse(time), value, low: expected?.low ?? null, high: expected?.high ?? null, unit }],
  );
  const unit = valued[0]?.unit;
  const sameUnit = valued.filter((point) => point.unit === unit);
  if (sameUnit.some(({ high }) => high !== null)) {
    paper.heading("H3", "Value and what is usual", plotHeight);
    const { factor, name } = readableUnit(unit ?? "", Math.max(...sameUnit.map(({ value }) => value)));
    const scaled = sameUnit.map(({ time, value, low, high }) => ({
      time,
      value: value * factor,
      low: low === null ? null : low * factor,
      high: high === null ? null : high * factor,
    }));
    valuePlot(paper, scaled, name);
  }
}

const maybe = (name: string, value: number | null): [string, string][] =>
  value === null ? [] : [[name, figure(value)]];

function figures(report: ReportJson): [string, string][] {
  const { window } = report;
  return [
    ...maybe("Score", report.score),
    ...maybe("Limit", report.limit),
    ...maybe("p-value", report.p_value),
    ...maybe("Surprise, bits", report.surprise_bits),
    ...maybe("Usual cost, bits", report.baseline_bits),
    ...(window === null
      ? []
      : [
          ["Window", `${window.records} records, ${figure(window.raw_bytes)} bytes, ${window.codec}`] as [
            string,
            string,
          ],
          ...maybe("Compression ratio", window.compression_ratio),
          ...maybe("Delta bits", window.delta_bits),
          ...maybe("Entropy, bits per byte", window.entropy),
          ...maybe("Normalized compression distance", window.ncd),
          ...maybe("p-value of the permutation test", window.p_value),
        ]),
  ];
}

export function anomalyFacts(anomaly: BundleAnomaly): [string, string][] {
  const report = strongest(anomaly);
  const lasted = Date.parse(anomaly.end_time) - Date.parse(anomaly.start_time);
  return [
    ["What happened", sentence(report?.explanation ?? "No report of it is kept")],
    [
      "When",
      `First at ${longTime(anomaly.start_time)}${lasted < 1_000 ? "" : `, last at ${longTime(anomaly.end_time)}, over ${span(lasted)}`}; flagged ${anomaly.occurrences} time${anomaly.occurrences === 1 ? "" : "s"}.`,
    ],
    ["Where", `${anomaly.stream}${anomaly.service === "" ? "" : ` (service ${anomaly.service})`}`],
    [
      "How it was found",
      `Driftlock learns what is usual for each stream and measures how many bits the rest costs. It was found by ${anomaly.channels.map((channel) => `${channel} (${known(channel)})`).join(", ")}.`,
    ],
    ["How sure it is", report === undefined ? "No figure says how sure it is." : certainty(report)],
    ["Severity and state", `${anomaly.severity}, ${anomaly.state}`],
    [
      "Can be recomputed",
      anomaly.recording.kept
        ? "Yes: the embedded bundle has the state of the stream from before the record, and the record."
        : `No: ${anomaly.recording.reason}`,
    ],
  ];
}

/** @param whole whether the facts come first, as for an anomaly that is not the subject of the document */
export function drawAnomaly(paper: Paper, anomaly: BundleAnomaly, whole: boolean): void {
  const report = strongest(anomaly);
  if (whole) {
    paper.heading("H2", `Anomaly: ${anomaly.stream}`);
    paper.facts(anomalyFacts(anomaly));
  }
  if (report === undefined) return;
  const { record, expected } = report;
  if (record !== null && record.text !== "") {
    paper.heading("H3", "The record");
    drawRecord(paper, record.text, record.novel);
  }
  if (expected !== null && expected.nearest !== "") {
    paper.heading("H3", "The most similar text that is usual");
    drawRecord(paper, expected.nearest, []);
  }
  if (expected !== null && expected.next.length > 0) {
    paper.heading("H3", "What usually comes at this point");
    paper.list(expected.next.slice(0, 5));
  }
  plots(paper, reportsOf(anomaly));
  if (report.members.length > 0) {
    paper.heading("H3", "Streams that were unusual together");
    paper.table(
      [
        { title: "Stream", width: 4 },
        { title: "Channel", width: 1 },
        { title: "Score", width: 1 },
        { title: "p-value", width: 1 },
      ],
      report.members
        .slice(0, 30)
        .map(({ stream, channel, score, p_value }) => [
          stream,
          channel,
          score === null ? "" : figure(score),
          p_value === null ? "" : figure(p_value),
        ]),
    );
  }
  paper.heading("H3", "Figures");
  paper.facts(figures(report));
  if (anomaly.events.length > 0) {
    paper.heading("H3", "What people decided");
    drawJudgements(paper, anomaly.events);
  }
  paper.paragraph(`Id ${anomaly.id}`, { face: "mono", size: 7.5, color: colors.muted });
}

export function drawJudgements(
  paper: Paper,
  events: readonly { state: string; author: string; time: string; note: string }[],
): void {
  paper.table(
    [
      { title: "Time (UTC)", width: 1.9 },
      { title: "Decision", width: 1.4 },
      { title: "By", width: 1.3 },
      { title: "Note", width: 4 },
    ],
    events.map(({ time, state, author, note }) => [clockTime(time), state, author, note]),
  );
}
