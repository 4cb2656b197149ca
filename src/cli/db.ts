import { migrationState } from "../store/index.ts";
import { exit, type Io } from "./io.ts";
import { refusePositionals, takeOwnOptions } from "./replay/own-options.ts";
import { callAction } from "./subcommand.ts";
import { configOf, withStore } from "./with-store.ts";

export const help = `Usage: driftlock db status [--config FILE]
       driftlock db migrate [--config FILE]

The store: a SQLite file in data_dir, or the PostgreSQL database of store.url.

  status   tells which migrations it has and which are to come; exit code 1 where there are such
  migrate  brings it up to date, as \`driftlock run\` does when it starts

  --config FILE  the configuration in YAML; every key of it is a flag as well
`;

function configFrom(args: string[], io: Io) {
  const { positionals, rest } = takeOwnOptions(args, [], []);
  refusePositionals(positionals);
  return configOf(rest, io);
}

async function status(args: string[], io: Io): Promise<number> {
  const { kind, place, applied, pending } = await migrationState(configFrom(args, io));
  io.out(`${kind} ${place}\n`);
  for (const name of applied) io.out(`  applied  ${name}\n`);
  for (const name of pending) io.out(`  pending  ${name}\n`);
  return pending.length === 0 ? exit.ok : exit.failure;
}

async function migrate(args: string[], io: Io): Promise<number> {
  const config = configFrom(args, io);
  const { kind, place, pending } = await migrationState(config);
  const health = await withStore(config, async (store) => store.health());
  if (!health.ready) throw new Error(health.reason);
  io.out(
    `${kind} ${place}: ${pending.length === 0 ? "up to date already" : `applied ${pending.join(", ")}`}\n`,
  );
  return exit.ok;
}

export function run(args: string[], io: Io): Promise<number> {
  return callAction("db", { status, migrate }, args, io);
}
