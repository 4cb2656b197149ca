/** What an operator would see with default settings: `node bench/quality/operator/run.ts [NAME]...` */
import process from "node:process";
import { chosen } from "../../chosen.ts";
import { type Row, table } from "../../table.ts";
import { bgl } from "./bgl.ts";
import { demo } from "./demo.ts";
import { firstHours } from "./first-hours.ts";
import { openstack } from "./openstack.ts";
import { promptInjections } from "./prompts.ts";
import { quietDays } from "./quiet-days.ts";
import { quietTenant } from "./quiet-tenant.ts";
import { shifts } from "./shifts.ts";
import { smd } from "./smd.ts";

const benches: Readonly<Record<string, { title: string; run(): Promise<Row[]> }>> = {
  smd: { title: "Metrics of machines (SMD)", run: smd },
  bgl: { title: "Logs of half a year (BGL)", run: bgl },
  openstack: { title: "A few abnormal sessions among many (OpenStack)", run: openstack },
  "first-hours": { title: "Generated faults in the first hours, reported within a minute", run: firstHours },
  shifts: { title: "Shifts of many spans, by minute", run: shifts },
  prompts: {
    title: "Injections among prompts, compared with normal prompts of the same length",
    run: promptInjections,
  },
  demo: { title: "The first five minutes of the demo", run: demo },
  "quiet-days": { title: "Quiet days of a shop, by seeds", run: quietDays },
  "quiet-tenant": { title: "A tenant in which nothing is wrong", run: quietTenant },
};

/** The results of each bench, by its name. */
export type OperatorFigures = Record<string, { title: string; rows: Row[] }>;

export async function operatorFigures(
  names: readonly string[] = Object.keys(benches),
): Promise<OperatorFigures> {
  const figures: OperatorFigures = {};
  for (const name of names) figures[name] = { title: benches[name]!.title, rows: await benches[name]!.run() };
  return figures;
}

if (import.meta.main) {
  for (const name of chosen(benches)) {
    const { title, rows } = (await operatorFigures([name]))[name]!;
    process.stdout.write(`### ${title}\n\n${table(rows)}\n\n`);
  }
}
