import process from "node:process";
import { styleText } from "node:util";
import { channelName } from "../../anomaly/names.ts";
import { plural } from "../../base/plural.ts";
import type { Anomaly } from "../../gen/driftlock/v1/anomaly_pb.js";
import { Channel, Severity, Signal, State } from "../../gen/driftlock/v1/anomaly_pb.js";
import { type Candidate, type Incident, IncidentState } from "../../gen/driftlock/v1/incidents_pb.js";
import { type Cell, columnsOf, toCells, truncate } from "./cells.ts";
import { excerpt } from "./excerpt.ts";
import { HeldAnomalies } from "./held.ts";
import { bracketed, flow, wrap } from "./lines.ts";
import { precise, probability } from "./numbers.ts";

export interface ViewStats {
  recordsPerSecond: number;
  streams: number;
  /** Number of streams that have no limits yet. */
  learning: number;
  /** Number of flagged records since the start. */
  flagged: number;
  /** Number of records that the downstream has accepted since the start. */
  forwarded: number;
}

export interface View {
  /** Shows an incident that has begun, grown, ended or become part of another one, with its anomalies beneath; never throws. */
  incident(incident: Incident): void;
  /** Shows a reported anomaly, beneath its incident if one begins soon; never throws. */
  anomaly(anomaly: Anomaly): void;
  /** Updates the status line, if the output is a terminal. */
  tick(stats: ViewStats): void;
  /** Ends the view and leaves the last status line in place. */
  close(): void;
}

type Style = Parameters<typeof styleText>[0];

/** Width that is assumed if the output is no terminal. */
const defaultColumns = 120;
const leastColumns = 40;
const leastStream = 8;
const recordLines = 3;
const explanationColumns = 480;
const indent = "  ";
/** Number of bracket pairs for which room is reserved; more of them may need another line. */
const maxBrackets = 16;
/** Limit of the bytes that the terminal has not accepted yet. Beyond it, anomalies are counted but not shown. */
const maxBacklog = 2 ** 20;

const severityStyles: Readonly<Record<Severity, Style>> = {
  [Severity.UNSPECIFIED]: [],
  [Severity.LOW]: [],
  [Severity.MEDIUM]: "yellow",
  [Severity.HIGH]: "red",
  [Severity.CRITICAL]: ["bold", "red"],
};

/** How long an anomaly waits for its incident, in milliseconds. */
const defaultWaitMs = 30_000;
const maxCauses = 2;
const causeNames = ["likely cause", "or"];

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** Formats an event time in UTC, without the date: the view shows anomalies of the same day. */
function clock(unixNano: bigint): string {
  const ms = Number(unixNano / 1_000_000n);
  return ms > 0 && ms < 8.64e15 ? `${new Date(ms).toISOString().slice(11, 19)}Z` : "--:--:--";
}

function causeText({ service, instance, host, operation, reasons }: Candidate): string {
  const where = [service, instance, host, operation].filter((part) => part !== "").join(", ");
  return [where, ...reasons].join(". ");
}

/** What people should see again if it changes. */
function newsOf({ severity, minor, services, ranking }: Incident): string {
  return JSON.stringify([severity, minor, services.toSorted(), ranking[0]?.service]);
}

function sentence({ explanation }: Anomaly, columns: number): string[] {
  return explanation === "" ? [] : flow(truncate(explanation, explanationColumns).split(" "), columns, " ");
}

/** @param told whether the sentence is shown, which has score, limit and p-value */
function scores(anomaly: Anomaly, told: boolean): string[] {
  const { score, limit, pValue, surpriseBits, baselineBits, channel } = anomaly;
  // A channel without a usual value reports 0; for the channel content, 0 is what known records cost.
  const usual = baselineBits > 0 || channel === Channel.CONTENT ? `, usually ${precise(baselineBits)}` : "";
  return [
    ...(told ? [] : [`score ${precise(score)} over limit ${precise(limit)}`, `p ${probability(pValue)}`]),
    `${precise(surpriseBits)} bits${usual}`,
  ];
}

/** The sentence says it as well, but is not shown with a record that has marked bytes. */
function withheldBefore({ withheld }: Anomaly): string[] {
  if (withheld === undefined) return [];
  const alarms = plural(withheld.count, "alarm");
  return [`withheld before: ${alarms}, the strangest by ${channelName(withheld.channel)}`];
}

/** The points of a metric are numbers, whose text says nothing about them. */
function windowMetrics({ window, signal }: Anomaly): string[] {
  if (window === undefined || signal === Signal.METRICS) return [];
  return [
    `window of ${window.records}${window.codec && `, ${window.codec}`}`,
    `CR ${window.compressionRatio.toFixed(3)}`,
    // Texts that are compared with themselves, or with none, have no distance.
    ...(window.ncd > 0
      ? [`NCD ${window.ncd.toFixed(3)} (size-matched ${window.ncdSizeMatched.toFixed(3)})`]
      : []),
    `delta ${window.deltaBits.toFixed(3)} bits/B`,
    `entropy ${window.entropy.toFixed(2)} bits/B`,
    ...(window.pValue !== undefined ? [`permutation p ${probability(window.pValue)}`] : []),
  ];
}

function expectation({ expected }: Anomaly): string[] {
  if (expected === undefined) return [];
  // The usual range is in the sentence, with the unit of its channel.
  const { nearest, next } = expected;
  return [
    ...(next.length > 0 ? [`usual next: ${next.join(", ")}`] : []),
    ...(nearest ? [`nearest known: ${nearest}`] : []),
  ];
}

/**
 * Creates the live view of a terminal. It shows each incident with its likeliest causes, and beneath it each reported anomaly with
 * its record, in which the novel bytes are marked, and its metrics; below them, one status line is updated in place. Anomalies
 * that no incident takes up within `waitMs` are shown by themselves. Texts of records are escaped, so that they cannot
 * control the terminal. Colours follow NO_COLOR, FORCE_COLOR and TERM; without colours, novel bytes are put in ⟦ ⟧.
 */
export function createView(out: NodeJS.WriteStream, waitMs = defaultWaitMs): View {
  const live = out.isTTY === true;
  const colours = live && out.getColorDepth(process.env) > 1;
  let status = "";
  let notShown = 0;
  const held = new HeldAnomalies();
  /** What was last shown of the open incidents, and their anomalies. */
  const shown = new Map<string, { news: string; anomalies: ReadonlySet<string> }>();

  const columns = () => Math.max(leastColumns, out.columns ?? defaultColumns);
  const paint = (style: Style, text: string) =>
    colours && text !== "" ? styleText(style, text, { validateStream: false }) : text;

  /** Writes lines above the status line. */
  function print(lines: readonly string[]): void {
    const text = lines.map((line) => `${line}\n`).join("");
    out.write(live ? `\r\x1b[2K${text}${status}` : text);
  }

  function record({ record }: Anomaly, width: number): string[] {
    if (record === undefined) return [];
    const cells = toCells(record.text, record.novel);
    // The brackets need room as well.
    const brackets = colours ? 0 : 2 * Math.min(maxBrackets, record.novel.length);
    const shown = excerpt(cells, recordLines * width - brackets);
    return wrap(colours ? shown : bracketed(shown), width).map((line) => indent + render(line));
  }

  function render(cells: readonly Cell[]): string {
    let text = "";
    for (let start = 0, end = 0; start < cells.length; start = end) {
      const { novel } = cells[start]!;
      while (end < cells.length && cells[end]!.novel === novel) end++;
      const run = cells
        .slice(start, end)
        .map((cell) => cell.text)
        .join("");
      text += novel ? paint(["bold", "red"], run) : run;
    }
    return text;
  }

  function header(anomaly: Anomaly, width: number): string {
    const { timeUnixNano, channel, severity, occurrence, stream, field } = anomaly;
    const time = clock(timeUnixNano);
    const name = channelName(channel);
    const where = field && field !== name ? truncate(`${name} in ${field}`, width >> 1) : name;
    const grade = severity === Severity.UNSPECIFIED ? "" : Severity[severity].toLowerCase();
    const count = occurrence > 1n ? `×${occurrence}` : "";
    const others = [where, grade, count].filter((part) => part !== "");
    const taken = time.length + 2 + others.reduce((sum, part) => sum + columnsOf(part) + 2, 0);
    return [
      paint("dim", time),
      paint("bold", truncate(stream, Math.max(leastStream, width - taken))),
      paint("cyan", where),
      ...(grade ? [paint(severityStyles[severity], grade)] : []),
      ...(count ? [paint("bold", count)] : []),
    ].join("  ");
  }

  /** Without a time: the end is known some time after the latest flag, while later events may have been shown. */
  function ended({ stream, occurrence }: Anomaly, width: number): string {
    return paint("dim", truncate(`over: ${stream}${occurrence > 1n ? `, ×${occurrence}` : ""}`, width));
  }

  /** @param before what each line begins with */
  function block(anomaly: Anomaly, before = ""): string[] {
    const width = columns() - before.length;
    if (anomaly.state === State.ENDED) return [ended(anomaly, width)];
    // What an anomaly repeats was shown already.
    if (!anomaly.news) return [header(anomaly, width)];
    const inner = width - indent.length;
    const marked = (anomaly.record?.novel.length ?? 0) > 0;
    const lines = [
      header(anomaly, width),
      ...record(anomaly, inner),
      // Marked novel bytes need no sentence.
      ...(marked ? withheldBefore(anomaly) : sentence(anomaly, inner)).map((line) => indent + line),
      ...flow(expectation(anomaly), inner).map((line) => indent + line),
      ...flow(scores(anomaly, !marked && anomaly.explanation !== ""), inner).map((line) => indent + line),
      ...flow(windowMetrics(anomaly), inner).map((line) => indent + paint("dim", line)),
      "",
    ];
    return before === "" ? lines : lines.map((line) => (line === "" ? line : before + line));
  }

  function incidentBlock(incident: Incident, begins: boolean): string[] {
    const width = columns();
    const { startTimeUnixNano, endTimeUnixNano, severity, minor, services, ranking, undecided } = incident;
    const name = minor ? "minor incident" : "INCIDENT";
    const grade = Severity[severity].toLowerCase();
    const title = `${name}${begins ? "" : " has changed"}`;
    const where = truncate(services.join(", "), Math.max(leastStream, width - 24 - title.length));
    const inner = width - indent.length;
    const causes =
      undecided === ""
        ? ranking.slice(0, maxCauses).map((cause, i) => `${causeNames[i]}: ${causeText(cause)}`)
        : [`cause unknown: ${undecided}`];
    const texts = [incident.sentence, ...causes];
    return [
      [
        paint("dim", clock(begins ? startTimeUnixNano : endTimeUnixNano)),
        paint(minor ? "bold" : ["bold", "inverse"], title),
        paint(severityStyles[severity], grade),
        paint("bold", where),
      ].join("  "),
      ...texts
        .flatMap((text) => flow(truncate(text, explanationColumns).split(" "), inner, " "))
        .map((line) => indent + line),
    ];
  }

  /** Shows an anomaly by itself. */
  function alone(anomaly: Anomaly): void {
    show(block(anomaly));
  }

  function show(lines: readonly string[]): void {
    if (out.writableLength > maxBacklog) {
      notShown++;
      return;
    }
    const missed =
      notShown > 0 ? [`${plural(notShown, "finding")} not shown: the terminal could not keep up`] : [];
    notShown = 0;
    print([...missed, ...lines]);
  }

  return {
    incident(incident) {
      const { id, state, services, members } = incident;
      if (state !== IncidentState.OPEN) {
        if (!shown.delete(id)) return;
        const what = state === IncidentState.MERGED ? "part of another incident" : "over";
        show([paint("dim", truncate(`${what}: incident in ${services.join(", ")}`, columns()))]);
        return;
      }
      const anomalies = new Set(members.flatMap(({ anomalyIds }) => anomalyIds));
      const own = held.take(anomalies);
      const before = shown.get(id)?.news;
      const news = newsOf(incident);
      shown.set(id, { news, anomalies });
      if (before === news && own.length === 0) return;
      const beneath = own.flatMap((anomaly) => block(anomaly, indent));
      show([...incidentBlock(incident, before === undefined), ...(beneath.length > 0 ? beneath : [""])]);
    },

    anomaly(anomaly) {
      const isKnown = [...shown.values()].some(({ anomalies }) => anomalies.has(anomaly.id));
      if (isKnown) show(block(anomaly, indent));
      else if (!held.add(anomaly, performance.now() + waitMs)) alone(anomaly);
      for (const each of held.expired(performance.now())) alone(each);
    },

    tick({ recordsPerSecond, streams, learning, flagged, forwarded }) {
      for (const each of held.expired(performance.now())) alone(each);
      const text = [
        `${grouped.format(recordsPerSecond)} records/s`,
        `${plural(streams, "stream")}, ${learning > 0 ? `${learning} learning` : "all ready"}`,
        `flagged ${grouped.format(flagged)}`,
        `forwarded ${grouped.format(forwarded)}`,
        ...(shown.size > 0 ? [`open incidents ${shown.size}`] : []),
      ].join("   ");
      // Some terminals wrap the line if its last column is filled.
      status = paint("inverse", truncate(` ${text} `, columns() - 1));
      if (live && out.writableLength <= maxBacklog) out.write(`\r\x1b[2K${status}`);
    },

    close() {
      for (const each of held.expired(Number.POSITIVE_INFINITY)) alone(each);
      if (notShown > 0) print([`${plural(notShown, "finding")} not shown: the terminal could not keep up`]);
      if (status !== "") out.write(live ? "\n" : `${status}\n`);
      status = "";
    },
  };
}
