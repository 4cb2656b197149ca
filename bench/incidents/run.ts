/** `make bench-incidents`: how well incidents and their causes are found. `node bench/incidents/run.ts [NAME]...` */
import process from "node:process";
import { type FaultName, faultNames } from "../../src/generate/topology/fault.ts";
import { faultKinds } from "../../src/generate/topology/fault-kinds.ts";
import { chosen } from "../chosen.ts";
import { type Row, round, table } from "../table.ts";
import { ByStart } from "./by-start.ts";
import { Formed } from "./formed.ts";
import { type FoundFault, falseIncidents, figures, foundFaults, spreads } from "./measure.ts";
import { petshop, rankIssues, readIssues } from "./petshop.ts";
import { stormShare } from "./speed.ts";
import { type Bench, chronicRuns, faultRuns, quietDays, type RankedFault, rankingRuns } from "./topology.ts";

const seeds = Number(process.env.SEEDS ?? 2);
const days = Number(process.env.DAYS ?? 3);
const rate = Number(process.env.RATE ?? 20);
const kinds = (process.env.KINDS?.split(",") as FaultName[] | undefined) ?? faultNames;

function summary(name: string, results: readonly FoundFault[]): Row[] {
  if (results.length === 0) return [];
  const { faults, found, perFault, first, within3, medianSeconds } = figures(results);
  return [
    {
      faults: name,
      count: faults,
      "with an incident": round(found),
      "incidents per fault": found > 0 ? round(perFault) : "–",
      "cause first": round(first),
      "within 3": round(within3),
      "median s": found > 0 ? round(medianSeconds, 0) : "–",
    },
  ];
}

async function topology(createFormer: Bench["createFormer"]): Promise<string> {
  const plain: FoundFault[] = [];
  const onTop: FoundFault[] = [];
  const quiet: number[][] = [];
  let beside = 0;
  for (let i = 1; i <= seeds; i++) {
    const bench: Bench = { seed: String(i), rate, days, createFormer };
    const past = await quietDays(bench);
    quiet.push(past.incidents);
    for (const run of await faultRuns(bench, past, kinds)) {
      plain.push(...foundFaults(run));
      beside += falseIncidents(run);
    }
    if (process.env.CHRONIC !== "0") {
      for (const run of await chronicRuns(bench, kinds)) onTop.push(...foundFaults(run));
    }
  }
  const later = quiet.flatMap((each) => each.slice(1));
  const mean = (counts: readonly number[]) => round(counts.reduce((sum, n) => sum + n, 0) / counts.length);
  const rows = [
    ...summary("in spans", plain.filter(spreads("spans"))),
    ...summary("in one stream", plain.filter(spreads("stream"))),
    ...summary("on top of a chronic one", onTop),
    ...kinds.flatMap((kind) =>
      summary(
        kind,
        [...plain, ...onTop].filter(({ fault }) => fault.kind === kind),
      ),
    ),
  ];
  return `${table(rows)}

False incidents per day without faults: ${mean(quiet.map(([first]) => first!))} on the first day${later.length > 0 ? `, ${mean(later)} later` : ""}; ${beside} beside ${plain.length} faults.`;
}

/** How well causes are ranked if the time of each fault is known. */
async function ranking(): Promise<string> {
  const inSpans = kinds.filter((kind) => faultKinds[kind].spread === "spans");
  const results: RankedFault[] = [];
  for (let i = 1; i <= seeds; i++) results.push(...(await rankingRuns(String(i), rate, inSpans)));
  const row = (name: string, those: readonly RankedFault[]): Row => {
    const share = (when: "early" | "whole", most: number) =>
      round(those.filter((fault) => (fault[when] ?? Number.POSITIVE_INFINITY) <= most).length / those.length);
    return {
      faults: name,
      count: those.length,
      "first after a minute": share("early", 1),
      "within 3": share("early", 3),
      "first by the whole": share("whole", 1),
      "within 3 by the whole": share("whole", 3),
    };
  };
  const rows = inSpans.map((kind) => {
    const those = results.filter(({ fault }) => fault.kind === kind);
    return row(kind, those);
  });
  return table([row("in spans", results), ...rows]);
}

function petshopRanking(): string {
  const issues = readIssues();
  if (issues.length === 0)
    return `skipped: ${petshop} does not exist; QUALITY_DATA names the folder of labelled data`;
  const { first, within3 } = rankIssues(issues);
  return table([{ issues: issues.length, "cause first": round(first), "within 3": round(within3) }]);
}

function speed(): string {
  const rows = [false, true].map((connected): Row => {
    const { share, worstMs, open } = stormShare(connected);
    return {
      services: connected ? "1,000 that call one another" : "1,000 that call nobody",
      "open incidents": open,
      "share of the event loop": round(share, 3),
      "longest call, ms": round(worstMs, 0),
    };
  });
  return table(rows);
}

const benches: Readonly<Record<string, { title: string; run(): string | Promise<string> }>> = {
  topology: { title: "Incidents", run: () => topology((snapshot) => new Formed(snapshot)) },
  baseline: {
    title: "Anomalies grouped by their start, as a baseline",
    run: () => topology(() => new ByStart()),
  },
  ranking: { title: "Causes of generated faults, ranked by own excess", run: ranking },
  speed: { title: "2,000 items of evidence per second", run: speed },
  petshop: { title: "Causes of the issues of PetShop, ranked by own excess", run: petshopRanking },
};

for (const name of chosen(benches)) {
  const { title, run } = benches[name]!;
  process.stdout.write(`### ${title}\n\n${await run()}\n\n`);
}
