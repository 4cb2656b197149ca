/** What an operator would see with default settings: `node bench/quality/operator/run.ts [NAME]...` */
import process from "node:process";
import { bgl } from "./bgl.ts";
import { firstHours } from "./first-hours.ts";
import { openstack } from "./openstack.ts";
import { quietTenant } from "./quiet-tenant.ts";
import { shifts } from "./shifts.ts";
import { smd } from "./smd.ts";
import { type Row, table } from "./table.ts";

export const operatorBenches: Readonly<Record<string, () => Promise<Row[]>>> = {
  smd,
  bgl,
  openstack,
  "first-hours": firstHours,
  shifts,
  "quiet-tenant": quietTenant,
};

if (import.meta.main) {
  const names = process.argv.slice(2);
  const unknown = names.filter((name) => !(name in operatorBenches));
  if (unknown.length > 0) {
    process.stderr.write(
      `unknown bench ${unknown.join(", ")}: one of ${Object.keys(operatorBenches).join(", ")}\n`,
    );
    process.exit(2);
  }
  for (const name of names.length > 0 ? names : Object.keys(operatorBenches)) {
    const begin = performance.now();
    const rows = await operatorBenches[name]!();
    process.stdout.write(
      `### ${name} (${((performance.now() - begin) / 1_000).toFixed(0)} s)\n\n${table(rows)}\n\n`,
    );
  }
}
