import { dayMs } from "../../base/day.ts";
import { toJson } from "../../base/printable.ts";
import { meters } from "../../config/schema/billing.ts";
import { safeCount } from "../../json/report.ts";
import type { Store } from "../../store/index.ts";
import { author } from "../shared/author.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io, UsageError } from "../shared/io.ts";
import { readOptions } from "../shared/options.ts";
import { callAction } from "../shared/subcommand.ts";
import { tenantOf } from "../shared/tenant.ts";
import { configOf, withStore } from "../shared/with-store.ts";
import { table } from "../terminal/table.ts";

const shownDays = 30;

export const help = helpText({
  usage: [
    "usage list [--tenant TENANT | --all] [--from DAY] [--to DAY] [--json]",
    "usage events [--json]",
    "usage retry EVENT",
    "usage dismiss EVENT",
  ],
  about: `
Shows what tenants have sent per day in UTC, and the part of it that was reported for payment or is on its way. The usage is in
the store of the configuration, and can be read while \`driftlock run\` uses it.`,
  lists: [
    [
      "Actions",
      [
        ["list", "list the days, the oldest first"],
        ["events", "list the events of usage that were not reported yet, or that need a decision"],
        [
          "retry",
          "report an event again that the provider has refused, or that it may or may not have taken",
        ],
        ["dismiss", "never report such an event again"],
      ],
    ],
  ],
  options: [
    ["--tenant TENANT", "the tenant (default)"],
    ["--all", "all tenants"],
    ["--from DAY", `the first day, such as 2026-01-31; by default ${shownDays} days before the last day`],
    ["--to DAY", "the last day; by default today"],
    ["--json", "print JSON, one line per item"],
  ],
  exit: ["The command succeeded.", "The command failed."],
});

/** Counts are numbers, of which 64 bits are more than anybody sends. */
const line = (item: object) =>
  `${toJson(Object.fromEntries(Object.entries(item).map(([name, value]) => [name, typeof value === "bigint" ? safeCount(value) : value])))}\n`;

const toDay = (ms: number) => new Date(ms).toISOString().slice(0, 10);

async function* tenantsOf(store: Store): AsyncGenerator<string> {
  for (let after = ""; ; ) {
    const page = await store.admin.tenants({ after });
    yield* page;
    if (page.length === 0) return;
    after = page.at(-1)!;
  }
}

async function list(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { values: ["tenant", "from", "to"], switches: ["all", "json"] });
  const { values, switches } = options;
  if (switches.has("all") && values.has("tenant")) throw new UsageError("use either --tenant or --all");
  const to = values.get("to") ?? toDay(Date.now());
  const last = Date.parse(to);
  if (Number.isNaN(last)) throw new UsageError("--to must be a day such as 2026-01-31");
  const from = values.get("from") ?? toDay(last - (shownDays - 1) * dayMs);
  const tenant = tenantOf(values);
  const rows: string[][] = [];
  await withStore(configOf(options, io), async (store) => {
    const tenants = switches.has("all") ? tenantsOf(store) : [tenant];
    for await (const each of tenants) {
      for (const day of await store.usage.list(each, { from, to })) {
        if (switches.has("json")) {
          io.out(line(day));
          continue;
        }
        const counts = meters.flatMap((meter) => [String(day[meter]), String(day[`reported_${meter}`])]);
        rows.push([each, day.day, ...counts]);
      }
    }
  });
  if (!switches.has("json")) {
    io.out(
      table(["TENANT", "DAY", "REQUESTS", "REPORTED", "RECORDS", "REPORTED", "BYTES", "REPORTED"], rows),
    );
  }
  return exit.ok;
}

async function events(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { switches: ["json"] });
  const found = await withStore(configOf(options, io), (store) => store.billing.pending());
  if (options.switches.has("json")) {
    for (const event of found) io.out(line(event));
    return exit.ok;
  }
  const rows = found.map(({ id, state, tenant, meter, value, time, attempts }) => [
    id,
    state,
    tenant,
    meter,
    String(value),
    new Date(time).toISOString(),
    String(attempts),
  ]);
  io.out(table(["EVENT", "STATE", "TENANT", "METER", "VALUE", "TIME", "ATTEMPTS"], rows));
  return exit.ok;
}

async function decide(state: "due" | "dismissed", args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { positionals: ["EVENT"] });
  const [id] = options.positionals as [string];
  const found = await withStore(configOf(options, io), (store) => store.billing.decide(id, state, author()));
  if (found) return exit.ok;
  throw new Error(`no event ${id} waits for a decision; \`driftlock usage events\` lists those that do`);
}

export function run(args: string[], io: Io): Promise<number> {
  const retry = (rest: string[]) => decide("due", rest, io);
  const dismiss = (rest: string[]) => decide("dismissed", rest, io);
  return callAction("usage", { list, events, retry, dismiss }, args, io);
}
