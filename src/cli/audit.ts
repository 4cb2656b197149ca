import { toJson } from "../printable.ts";
import type { Store } from "../store/index.ts";
import { exit, type Io } from "./io.ts";
import { pagesOf } from "./pages.ts";
import { refusePositionals, takeOwnOptions } from "./replay/own-options.ts";
import { callAction } from "./subcommand.ts";
import { table } from "./table.ts";
import { tenantOf } from "./tenant.ts";
import { configOf, withStore } from "./with-store.ts";

export const help = `Usage: driftlock audit list [--tenant TENANT] [--json]
       driftlock audit verify [--tenant TENANT]

The audit log: every change that a person or a key made, such as keys and judgements, each entry chained to the one before it
by its hash. The store is that of the configuration, also while \`driftlock run\` uses it.

  list     shows the entries, newest first
  verify   computes the chain again; exit code 1 where an entry was changed, taken out or put in

  --tenant TENANT  whose log (default)
  --json           one JSON line an entry, with its hashes
  --config FILE    the configuration in YAML; every key of it is a flag as well

\`verify\` prints the hash of the last entry: keep it elsewhere, since who can write the whole database can write a whole new
chain. An entry's hash is the SHA-256 of the hash before it and the entry's JSON with sorted names, both as text.
`;

function optionsOf(args: string[], switches: readonly string[]) {
  const own = takeOwnOptions(args, ["tenant"], switches);
  refusePositionals(own.positionals);
  return { tenant: tenantOf(own.values), json: own.switches.has("json"), rest: own.rest };
}

async function print(store: Store, tenant: string, json: boolean, io: Io): Promise<void> {
  let head = true;
  for await (const items of pagesOf((request) => store.audit.list(tenant, request))) {
    if (json) {
      for (const entry of items) io.out(`${toJson(entry)}\n`);
    } else {
      const rows = items.map(({ seq, time, actor, action, target, detail }) => [
        String(seq),
        time,
        actor,
        action,
        target,
        toJson(detail),
      ]);
      const lines = table(["NO", "TIME", "ACTOR", "ACTION", "TARGET", "DETAIL"], rows);
      io.out(head ? lines : lines.slice(lines.indexOf("\n") + 1));
    }
    head = false;
  }
}

async function list(args: string[], io: Io): Promise<number> {
  const { tenant, json, rest } = optionsOf(args, ["json"]);
  await withStore(configOf(rest, io), (store) => print(store, tenant, json, io));
  return exit.ok;
}

async function verify(args: string[], io: Io): Promise<number> {
  const { tenant, rest } = optionsOf(args, []);
  const verdict = await withStore(configOf(rest, io), (store) => store.audit.verify(tenant));
  if (verdict.ok) {
    io.out(
      `tenant ${tenant}: ${verdict.entries} entries, none changed; the last has the hash ${verdict.head}\n`,
    );
    return exit.ok;
  }
  io.err(`driftlock: tenant ${tenant}: the chain breaks at entry ${verdict.seq}: ${verdict.reason}\n`);
  return exit.failure;
}

export function run(args: string[], io: Io): Promise<number> {
  return callAction("audit", { list, verify }, args, io);
}
