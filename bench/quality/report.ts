/** Writes the results as Markdown between markers, so that the prose around them stays. */
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { type Row, round, table } from "../table.ts";
import type { NabResult } from "./nab.ts";
import type { OperatorFigures } from "./operator/run.ts";
import { document, peerResults } from "./places.ts";
import type { RankScore } from "./programs.ts";
import { type QuietResult, days as quietDays } from "./quiet.ts";
import type { Ranked } from "./rank.ts";
import type { Incidents, SpanResults } from "./spans.ts";
import type { Group } from "./task.ts";

export interface Figures {
  driftlock: Ranked[];
  textbook: Ranked[];
  nab: NabResult;
  nabTextbook: NabResult;
  spans: SpanResults;
  quiet: QuietResult[];
  operator: OperatorFigures;
}

/** A peer's results as bench/peers writes them; a field is absent if a peer has no such result. */
interface Peer {
  name: string;
  nab?: number;
  ranked: Record<string, RankScore>;
  traces: Record<string, RankScore>;
}

const none = "–";
const shown = (value: number | undefined, digits: number) =>
  value === undefined || Number.isNaN(value) ? none : value.toFixed(digits);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

interface Auc {
  group: Group;
  set: string;
  auc: number;
}

/** Mean over sets of the mean over what was planted into each. */
function meanAuc(all: readonly Auc[], group: Group): number {
  const sets = Map.groupBy(
    all.filter((each) => each.group === group),
    ({ set }) => set,
  );
  return mean([...sets.values()].map((rows) => mean(rows.map(({ auc }) => auc))));
}

function aucsOf(ranked: readonly Ranked[]): Auc[] {
  return ranked.map(({ task, score }) => ({ group: task.group, set: task.set, auc: score.auc }));
}

/** The AUCs of a peer in the tasks that it took part in. */
function aucsOfPeer(peer: Peer, ranked: readonly Ranked[]): Auc[] {
  return ranked.flatMap(({ task }) => {
    const score = peer.ranked[task.name];
    return score ? [{ group: task.group, set: task.set, auc: score.auc }] : [];
  });
}

export const recall = (incidents: readonly Incidents[]) =>
  mean(incidents.map(({ found, incidents }) => found / incidents));

/** Alarms of the noisiest stream as a share of what its budget allows. */
export const share = ({ most, budget }: QuietResult) => most / (budget * quietDays);

export interface Bar {
  data: string;
  measure: string;
  floor: number | undefined;
  aim: number | undefined;
  /** The value is an upper bound, not a lower one. */
  atMost?: boolean;
  digits: number;
  driftlock: number;
  textbook: number | undefined;
  peer(peer: Peer): number | undefined;
}

export function bars({ driftlock, textbook, nab, nabTextbook, spans, quiet }: Figures): Bar[] {
  const ours = aucsOf(driftlock);
  const books = aucsOf(textbook);
  const single = (data: string, set: string, floor?: number, aim?: number): Bar => ({
    data,
    measure: "AUC",
    floor,
    aim,
    digits: 4,
    driftlock: ours.find((each) => each.set === set)!.auc,
    textbook: books.find((each) => each.set === set)!.auc,
    peer: ({ ranked }) => ranked[set]?.auc,
  });
  const counted = (of: (all: Auc[]) => number) => (peer: Peer) => of(aucsOfPeer(peer, driftlock));
  const strange = (all: Auc[]) => meanAuc(all, "strange");
  const counts = (all: Auc[]) => mean([meanAuc(all, "burst"), meanAuc(all, "stop")]);
  const planted = (data: string, of: (all: Auc[]) => number, floor?: number, aim?: number): Bar => ({
    data,
    measure: "mean AUC, windows",
    floor,
    aim,
    digits: 3,
    driftlock: of(ours),
    textbook: of(books),
    peer: counted(of),
  });
  return [
    {
      data: "NAB, 28 files",
      measure: "NAB standard score",
      floor: 60,
      aim: 75,
      digits: 1,
      driftlock: nab.nab_standard,
      textbook: nabTextbook.nab_standard,
      peer: (peer) => peer.nab,
    },
    single("BGL, lines", "bgl", 0.9, 0.97),
    single("HDFS, lines", "hdfs"),
    single("OpenStack, sessions", "openstack", 0.99, 0.999),
    single("OpenStack, sessions evenly mixed", "openstack-mixed", 0.99, 0.999),
    single("HDFS, blocks as sessions", "hdfs-blocks"),
    planted("1 strange line among 50", strange, 0.88, 0.95),
    planted("burst x15; a template that stops", counts, 0.8, 0.95),
    planted("… burst alone", (all) => meanAuc(all, "burst")),
    planted("… stop alone", (all) => meanAuc(all, "stop")),
    ...spans.dense.map(
      ({ name, score }): Bar => ({
        data: `traces, ${name}, 1 in 100`,
        measure: "AUC",
        floor: undefined,
        aim: undefined,
        digits: 4,
        driftlock: score.auc,
        textbook: undefined,
        peer: ({ traces }) => traces[name]?.auc,
      }),
    ),
    {
      data: "spans: latency x10, new status, missing child, wrong parent",
      measure: "recall at the default budget",
      floor: 0.95,
      aim: 1,
      digits: 3,
      driftlock: recall(spans.rare),
      textbook: undefined,
      peer: () => undefined,
    },
    ...[1, 10, 100].map(
      (budget): Bar => ({
        data: `no anomalies, ${budget} per day`,
        measure: "alarms / budget, worst stream",
        floor: 2,
        aim: 1,
        atMost: true,
        digits: 2,
        driftlock: Math.max(...quiet.filter((each) => each.budget === budget).map(share)),
        textbook: undefined,
        peer: () => undefined,
      }),
    ),
  ];
}

export function verdict({ driftlock, floor, aim, atMost }: Bar): string {
  if (floor === undefined || aim === undefined) return "";
  const reaches = (bar: number) => (atMost ? driftlock <= bar : driftlock >= bar);
  return reaches(aim) ? "aim" : reaches(floor) ? "floor" : "below";
}

function barTable(figures: Figures, peers: readonly Peer[]): string {
  const rows = bars(figures).map(
    (bar): Row => ({
      data: bar.data,
      measure: bar.measure,
      floor: bar.floor ?? none,
      aim: bar.aim ?? none,
      Driftlock: shown(bar.driftlock, bar.digits),
      reaches: verdict(bar),
      "textbook CBAD": shown(bar.textbook, bar.digits),
      ...Object.fromEntries(peers.map((peer) => [peer.name, shown(bar.peer(peer), bar.digits)])),
    }),
  );
  return table(rows);
}

/** The units that were flagged with default settings, by what they are. */
function flagged({ records, anomalous, own_alarms: { recall, false_alarm_rate } }: RankScore): Row {
  const found = Math.round(recall * anomalous);
  return {
    "flagged: found": found,
    missed: anomalous - found,
    false: Math.round(false_alarm_rate * (records - anomalous)),
  };
}

function rankRow(data: string, s: RankScore): Row {
  return {
    data,
    units: s.records,
    anomalous: s.anomalous,
    AUC: shown(s.auc, 4),
    AP: shown(s.average_precision, 3),
    "best F1": shown(s.best_f1, 3),
    "flag-all F1": shown(s.flag_all_f1, 3),
    ...flagged(s),
  };
}

function added(rows: readonly Row[]): Row {
  const sum: Record<string, number> = {};
  for (const row of rows) {
    for (const [name, count] of Object.entries(row)) sum[name] = (sum[name] ?? 0) + Number(count);
  }
  return sum;
}

function plantedTable({ driftlock }: Figures): string {
  const planted = driftlock.filter(({ task }) => task.window !== null);
  const groups = Map.groupBy(planted, ({ task: { group, set, name } }) =>
    group === "strange" ? `${group}, ${set} < ${name.split("-")[2]}` : `${group}, ${set}`,
  );
  const rows = [...groups].map(([name, all]): Row => {
    const of = (measure: (each: Ranked) => number) => mean(all.map(measure));
    const records = all.every(({ records }) => records);
    return {
      planted: name,
      windows: all.reduce((sum, { score }) => sum + score.records, 0),
      anomalous: all.reduce((sum, { score }) => sum + score.anomalous, 0),
      "AUC, windows": shown(
        of(({ score }) => score.auc),
        3,
      ),
      AP: shown(
        of(({ score }) => score.average_precision),
        3,
      ),
      "best F1": shown(
        of(({ score }) => score.best_f1),
        3,
      ),
      "flag-all F1": shown(
        of(({ score }) => score.flag_all_f1),
        3,
      ),
      "AUC, records": records
        ? shown(
            of(({ records }) => records!.auc),
            3,
          )
        : none,
      ...added(all.map(({ score }) => flagged(score))),
    };
  });
  return table(rows);
}

function incidentTable({ rare, shop }: SpanResults): string {
  const list = (channels: Record<string, number>) =>
    Object.entries(channels)
      .map(([name, count]) => `${name} ${count}`)
      .join(", ") || none;
  return table(
    [...rare, ...shop].map((each) => ({
      "altered traces": each.name,
      incidents: each.incidents,
      found: each.found,
      recall: shown(each.found / each.incidents, 3),
      "false alarms": each.falseAlarms,
      "stream days": each.streamDays,
      "found by": list(each.channels),
    })),
  );
}

function quietTable(quiet: readonly QuietResult[]): string {
  return table(
    quiet.map((each) => ({
      "without anomalies": each.name,
      records: each.records,
      streams: each.streams,
      budget: each.budget,
      alarms: each.alarms,
      "alarms per stream and day": round(each.alarms / each.streams / quietDays, 3),
      "worst stream / budget": shown(share(each), 2),
    })),
  );
}

function nabTable(results: readonly [string, NabResult][]): string {
  return table(
    results.map(([name, nab]) => ({
      detector: name,
      "standard score": shown(nab.nab_standard, 2),
      "windows found at the best threshold": `${nab.windows_found} of ${nab.windows}`,
      "points flagged there": nab.points_flagged,
      "own alarms": nab.alarms,
      "in windows": nab.rightAlarms,
      "windows with an alarm": `${nab.foundByAlarms} of ${nab.windows}`,
      "alarms per file and day": round(nab.alarms / nab.days, 3),
    })),
  );
}

async function readPeers(): Promise<Peer[]> {
  if (!existsSync(peerResults)) return [];
  return JSON.parse(await readFile(peerResults, "utf8")) as Peer[];
}

const [begin, end] = ["<!-- figures: written by make bench-quality -->", "<!-- /figures -->"];

export async function write(figures: Figures): Promise<string> {
  const { driftlock, spans, quiet, nab, nabTextbook, operator } = figures;
  const lines = driftlock.filter(({ task }) => task.window === null);
  const text = [
    "### Compared with the bars and the peers",
    barTable(figures, await readPeers()),
    "### What an operator sees",
    ...Object.values(operator).flatMap(({ title, rows }) => [`**${title}**`, table(rows)]),
    "### Lines and sessions",
    table(lines.map(({ task, score }) => rankRow(task.name, score))),
    "### Planted into normal lines",
    plantedTable(figures),
    "### Metrics: NAB",
    nabTable([
      ["Driftlock", nab],
      ["textbook CBAD", nabTextbook],
    ]),
    "### Traces: at the default budget",
    incidentTable(spans),
    "### Traces: 1 in 100 altered",
    table(spans.dense.map(({ name, score }) => rankRow(name, score))),
    "### Streams without anomalies",
    quietTable(quiet),
  ].join("\n\n");
  const before = await readFile(document, "utf8");
  const [from, to] = [before.indexOf(begin), before.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${document}: has no markers ${begin} and ${end}`);
  await writeFile(document, `${before.slice(0, from + begin.length)}\n\n${text}\n\n${before.slice(to)}`);
  return text;
}
