import type { Config } from "../../config/schema.ts";
import { lockFolder } from "../../data-dir/lock.ts";
import { migrateTo, migrationState } from "../../store/index.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io, UsageError } from "../shared/io.ts";
import { readOptions } from "../shared/options.ts";
import type { Accepted } from "../shared/parse-options.ts";
import { callAction } from "../shared/subcommand.ts";
import { configOf } from "../shared/with-store.ts";

export const help = helpText({
  usage: [
    "db status [OPTION]...",
    "db up [--to MIGRATION] [OPTION]...",
    "db down --to MIGRATION [--yes] [OPTION]...",
  ],
  about: `
Manages the schema of the store, which is a SQLite file in data_dir or the PostgreSQL database of store.url. Stop every
Driftlock that uses the store, and make a backup, before you call \`down\`.`,
  lists: [
    [
      "Actions",
      [
        ["status", "list the migrations that are applied and those that are pending"],
        ["up", "apply the pending migrations, as `driftlock run` does at its start; `migrate` is the same"],
        [
          "down",
          "undo migrations, so that an older Driftlock can use the store; without --yes, report what would be deleted",
        ],
      ],
    ],
  ],
  options: [
    [
      "--to MIGRATION",
      "the last migration to stay or to be applied, by name or number, such as 003; none undoes all",
    ],
    ["--yes", "delete the data of the migrations that are undone"],
  ],
  exit: ["The command succeeded.", "The command failed, or `status` found a pending migration."],
});

interface Asked {
  config: Config;
  to: string | undefined;
  yes: boolean;
}

function read(args: string[], io: Io, accepted: Accepted): Asked {
  const options = readOptions(args, accepted);
  return { config: configOf(options, io), to: options.values.get("to"), yes: options.switches.has("yes") };
}

/** Returns how many migrations are applied if `to` is the last of them. @throws {UsageError} if there is none of that name. */
function countOf(to: string, history: readonly string[]): number {
  if (to === "none") return 0;
  const at = history.findIndex((name) => name === to || Number(name.slice(0, 3)) === Number(to));
  if (at < 0) throw new UsageError(`--to must be none or one of ${history.join(", ")}, is ${to}`);
  return at + 1;
}

async function status(args: string[], io: Io): Promise<number> {
  const { config } = read(args, io, {});
  const { kind, place, applied, pending } = await migrationState(config);
  io.out(`${kind} ${place}\n`);
  for (const name of applied) io.out(`  applied  ${name}\n`);
  for (const name of pending) io.out(`  pending  ${name}\n`);
  return pending.length === 0 ? exit.ok : exit.failure;
}

async function up(args: string[], io: Io): Promise<number> {
  const { config, to } = read(args, io, { values: ["to"] });
  const { kind, place, applied, pending } = await migrationState(config);
  const history = [...applied, ...pending];
  const count = to === undefined ? history.length : countOf(to, history);
  if (count < applied.length) {
    throw new UsageError(`${history[count]} is applied already; \`driftlock db down\` undoes it`);
  }
  await migrateTo(config, history[count - 1]);
  const done = pending.slice(0, count - applied.length);
  io.out(`${kind} ${place}: ${done.length === 0 ? "is up to date" : `applied ${done.join(", ")}`}\n`);
  return exit.ok;
}

async function down(args: string[], io: Io): Promise<number> {
  const { config, to, yes } = read(args, io, { values: ["to"], switches: ["yes"] });
  const { kind, place, applied, pending, loses } = await migrationState(config);
  if (to === undefined) {
    throw new UsageError(
      "down needs --to with the last migration that is to stay; `driftlock db status` lists them",
    );
  }
  const count = countOf(to, [...applied, ...pending]);
  const undone = applied.slice(count).reverse();
  if (undone.length === 0) {
    io.out(`${kind} ${place}: nothing to undo\n`);
    return exit.ok;
  }
  if (!yes) {
    const lines = undone.map((name) => `  ${name}: ${loses(name)}`);
    throw new UsageError(
      `undoing these migrations deletes data of ${place} for good:\n${lines.join("\n")}\nStop Driftlock, make a backup, and add --yes.`,
    );
  }
  // A process that uses SQLite holds the lock. Whether one uses the PostgreSQL database cannot be known.
  const unlock = config.store.url === undefined ? await lockFolder(config.data_dir) : undefined;
  try {
    await migrateTo(config, applied[count - 1]);
  } finally {
    unlock?.();
  }
  io.out(`${kind} ${place}: undid ${undone.join(", ")}\n`);
  return exit.ok;
}

export function run(args: string[], io: Io): Promise<number> {
  return callAction("db", { status, up, migrate: up, down }, args, io);
}
