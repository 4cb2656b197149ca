import process from "node:process";
import { styleText } from "node:util";
import { channelName } from "../../anomaly/names.ts";
import type { Anomaly } from "../../gen/driftlock/v1/anomaly_pb.js";
import { Severity, State } from "../../gen/driftlock/v1/anomaly_pb.js";
import { type Cell, columnsOf, cut, toCells } from "./cells.ts";
import { excerpt } from "./excerpt.ts";
import { bracketed, flow, wrap } from "./lines.ts";
import { precise, probability } from "./numbers.ts";

export interface ViewStats {
  recordsPerSecond: number;
  streams: number;
  /** Streams still without limits. */
  learning: number;
  /** Records, since the start. */
  flagged: number;
  /** Records that the downstream has taken, since the start. */
  forwarded: number;
}

export interface View {
  /** Shows a reported anomaly; never throws. */
  anomaly(anomaly: Anomaly): void;
  /** Renews the status line, on a terminal. */
  tick(stats: ViewStats): void;
  /** Leaves the last status behind. */
  close(): void;
}

type Style = Parameters<typeof styleText>[0];

/** Where the output is no terminal. */
const defaultColumns = 120;
const leastColumns = 40;
const leastStream = 8;
const recordLines = 3;
const explanationColumns = 240;
const indent = "  ";
/** Pairs for which room is kept; more may take another line. */
const maxBrackets = 16;
/** Of what the terminal has not taken; beyond it anomalies are counted and not shown. */
const maxBacklog = 2 ** 20;

const severityStyles: Readonly<Record<Severity, Style>> = {
  [Severity.UNSPECIFIED]: [],
  [Severity.LOW]: [],
  [Severity.MEDIUM]: "yellow",
  [Severity.HIGH]: "red",
  [Severity.CRITICAL]: ["bold", "red"],
};

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** Event time in UTC; anomalies of the same day are meant. */
function clock(unixNano: bigint): string {
  const ms = Number(unixNano / 1_000_000n);
  return ms > 0 && ms < 8.64e15 ? `${new Date(ms).toISOString().slice(11, 19)}Z` : "--:--:--";
}

function sentence({ explanation }: Anomaly, columns: number): string[] {
  return explanation === "" ? [] : flow(cut(explanation, explanationColumns).split(" "), columns, " ");
}

function scores({ score, limit, pValue, surpriseBits, baselineBits }: Anomaly): string[] {
  return [
    `score ${precise(score)} over limit ${precise(limit)}`,
    `p ${probability(pValue)}`,
    `${precise(surpriseBits)} bits, usually ${precise(baselineBits)}`,
  ];
}

function figures({ window }: Anomaly): string[] {
  if (window === undefined) return [];
  return [
    `window of ${window.records}${window.codec && `, ${window.codec}`}`,
    `CR ${window.compressionRatio.toFixed(3)}`,
    `NCD ${window.ncd.toFixed(3)} (size-matched ${window.ncdSizeMatched.toFixed(3)})`,
    `delta ${window.deltaBits.toFixed(3)} bits/B`,
    `entropy ${window.entropy.toFixed(2)} bits/B`,
    ...(window.permutations > 0 ? [`permutation p ${probability(window.pValue)}`] : []),
  ];
}

function expectation({ expected }: Anomaly): string[] {
  if (expected === undefined) return [];
  // The usual range, whose unit is the channel's affair, is in the sentence.
  const { nearest, next } = expected;
  return [
    ...(next.length > 0 ? [`usual next: ${next.join(", ")}`] : []),
    ...(nearest ? [`nearest known: ${nearest}`] : []),
  ];
}

/**
 * The live view of a terminal: each reported anomaly with the record, its novel bytes marked, and the figures; beneath
 * them one status line that is renewed in place. What comes from records is escaped: it cannot steer the terminal.
 * Colours follow NO_COLOR, FORCE_COLOR and TERM; without them novel bytes stand in ⟦ ⟧.
 */
export function createView(out: NodeJS.WriteStream): View {
  const live = out.isTTY === true;
  const colours = live && out.getColorDepth(process.env) > 1;
  let status = "";
  let notShown = 0;

  const columns = () => Math.max(leastColumns, out.columns ?? defaultColumns);
  const paint = (style: Style, text: string) =>
    colours && text !== "" ? styleText(style, text, { validateStream: false }) : text;

  /** The status line gives way to lines above it. */
  function print(lines: readonly string[]): void {
    const text = lines.map((line) => `${line}\n`).join("");
    out.write(live ? `\r\x1b[2K${text}${status}` : text);
  }

  function record({ record }: Anomaly, width: number): string[] {
    if (record === undefined) return [];
    const cells = toCells(record.text, record.novel);
    // Brackets take room as well.
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
    const where = field && field !== name ? cut(`${name} in ${field}`, width >> 1) : name;
    const grade = severity === Severity.UNSPECIFIED ? "" : Severity[severity].toLowerCase();
    const count = occurrence > 1n ? `×${occurrence}` : "";
    const others = [where, grade, count].filter((part) => part !== "");
    const taken = time.length + 2 + others.reduce((sum, part) => sum + columnsOf(part) + 2, 0);
    return [
      paint("dim", time),
      paint("bold", cut(stream, Math.max(leastStream, width - taken))),
      paint("cyan", where),
      ...(grade ? [paint(severityStyles[severity], grade)] : []),
      ...(count ? [paint("bold", count)] : []),
    ].join("  ");
  }

  function ended({ timeUnixNano, stream, occurrence }: Anomaly, width: number): string {
    return paint("dim", cut(`${clock(timeUnixNano)}  over: ${stream}, ×${occurrence}`, width));
  }

  function block(anomaly: Anomaly): string[] {
    const width = columns();
    if (anomaly.state === State.ENDED) return [ended(anomaly, width)];
    const inner = width - indent.length;
    const marked = (anomaly.record?.novel.length ?? 0) > 0;
    return [
      header(anomaly, width),
      ...record(anomaly, inner),
      // Novel bytes speak for themselves.
      ...(marked ? [] : sentence(anomaly, inner)).map((line) => indent + line),
      ...flow(expectation(anomaly), inner).map((line) => indent + line),
      ...flow(scores(anomaly), inner).map((line) => indent + line),
      ...flow(figures(anomaly), inner).map((line) => indent + paint("dim", line)),
      "",
    ];
  }

  return {
    anomaly(anomaly) {
      if (out.writableLength > maxBacklog) {
        notShown++;
        return;
      }
      const missed = notShown > 0 ? [`${notShown} anomalies not shown: the terminal could not keep up`] : [];
      notShown = 0;
      print([...missed, ...block(anomaly)]);
    },

    tick({ recordsPerSecond, streams, learning, flagged, forwarded }) {
      const text = [
        `${grouped.format(recordsPerSecond)} records/s`,
        `${streams} streams, ${learning > 0 ? `${learning} learning` : "all ready"}`,
        `flagged ${grouped.format(flagged)}`,
        `forwarded ${grouped.format(forwarded)}`,
      ].join("   ");
      // The last column stays free: some terminals wrap when it is filled.
      status = paint("inverse", cut(` ${text} `, columns() - 1));
      if (live && out.writableLength <= maxBacklog) out.write(`\r\x1b[2K${status}`);
    },

    close() {
      if (notShown > 0) print([`${notShown} anomalies not shown: the terminal could not keep up`]);
      if (status !== "") out.write(live ? "\n" : `${status}\n`);
      status = "";
    },
  };
}
