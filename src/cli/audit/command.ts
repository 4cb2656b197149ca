import { toJson } from "../../base/printable.ts";
import { headsFile, type RecordedHead, readHeads, type Store } from "../../store/index.ts";
import { exit, type Io, UsageError } from "../shared/io.ts";
import { refusePositionals, takeOwnOptions } from "../shared/own-options.ts";
import { pagesOf } from "../shared/pages.ts";
import { callAction } from "../shared/subcommand.ts";
import { tenantOf } from "../shared/tenant.ts";
import { configOf, withStore } from "../shared/with-store.ts";
import { table } from "../terminal/table.ts";

export const help = `Usage: driftlock audit list [--tenant TENANT] [--json]
       driftlock audit verify [--tenant TENANT] [--head SEQ:HASH] [--heads FILE]
       driftlock audit heads

The audit log: every change that a person or a key made, such as keys and judgements, each entry chained to the one before it
by its hash. The store is that of the configuration, also while \`driftlock run\` uses it.

  list     shows the entries, newest first
  verify   computes the chain again, and compares it with the heads that were recorded outside of the database and with the
           API keys; exit code 1 where an entry was changed, taken out or put in, where the newest entries or the whole log were
           removed, and where a key is not as the log has it
  heads    prints the number and the hash of each tenant's newest entry, to be kept elsewhere

  --tenant TENANT  whose log (default)
  --head SEQ:HASH  an entry that the log must have, from an earlier \`verify\`, the log stream or \`audit heads\`
  --heads FILE     the same for all lines \`TENANT SEQ HASH\` of a file
  --json           one JSON line per entry, with its hashes
  --config FILE    the configuration in YAML; every key of it is a flag as well

Every process appends the heads of what it changes to audit-heads.sqlite or audit-heads.postgres in data_dir, and \`verify\` reads
that file in any case. Who can write to the database and to data_dir can alter both: keep heads where such a person cannot write. If a
database was replaced on purpose, move that file away.

An entry's hash is the SHA-256 of the hash before it and the entry's JSON with sorted names, both as text.
`;

function optionsOf(args: string[], names: readonly string[], switches: readonly string[]) {
  const own = takeOwnOptions(args, names, switches);
  refusePositionals(own.positionals);
  return own;
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
  const { values, switches, rest } = optionsOf(args, ["tenant"], ["json"]);
  const tenant = tenantOf(values);
  await withStore(configOf(rest, io), (store) => print(store, tenant, switches.has("json"), io));
  return exit.ok;
}

function headOf(text: string): RecordedHead {
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (seq === undefined || hash === undefined) {
    throw new UsageError("--head must be the number and the hash of an entry, such as 17:5f1c…");
  }
  return { seq: Number(seq), hash, source: "--head" };
}

async function headsIn(file: string, tenant: string): Promise<RecordedHead[] | undefined> {
  const heads = await readHeads(file);
  return heads
    ?.filter((head) => head.tenant === tenant)
    .map(({ seq, hash }) => ({ seq, hash, source: file }));
}

async function verify(args: string[], io: Io): Promise<number> {
  const { values, rest } = optionsOf(args, ["tenant", "head", "heads"], []);
  const tenant = tenantOf(values);
  const config = configOf(rest, io);
  const [head, given] = [values.get("head"), values.get("heads")];
  const own = headsFile(config);
  const inOwn = await headsIn(own, tenant);
  const inGiven = given === undefined ? [] : await headsIn(given, tenant);
  if (inGiven === undefined) throw new UsageError(`--heads: ${given} does not exist`);
  const recorded = [...(head === undefined ? [] : [headOf(head)]), ...inGiven, ...(inOwn ?? [])];
  const verdict = await withStore(config, (store) => store.audit.verify(tenant, recorded));
  if (verdict.ok) {
    const { entries, head, keys } = verdict;
    io.out(
      `tenant ${tenant}: ${entries} entries, none changed; the last has the hash ${head}; ${keys} API keys as the log has them\n`,
    );
    if (recorded.length === 0) {
      io.err(
        `driftlock: nothing to compare the end of the log with: ${own} has no head of the tenant; give --head or --heads\n`,
      );
    }
    return exit.ok;
  }
  const { seq, reason } = verdict;
  const at = seq === undefined ? "" : `the chain breaks at entry ${seq}: `;
  io.err(`driftlock: tenant ${tenant}: ${at}${reason}\n`);
  return exit.failure;
}

async function heads(args: string[], io: Io): Promise<number> {
  const { rest } = optionsOf(args, [], []);
  const found = await withStore(configOf(rest, io), (store) => store.admin.auditHeads());
  for (const { tenant, seq, hash } of found) io.out(`${tenant} ${seq} ${hash}\n`);
  return exit.ok;
}

export function run(args: string[], io: Io): Promise<number> {
  return callAction("audit", { list, verify, heads }, args, io);
}
