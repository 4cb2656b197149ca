import { readFileSync } from "node:fs";
import { fileFault } from "../../base/file-fault.ts";
import { plural } from "../../base/plural.ts";
import { toJson } from "../../base/printable.ts";
import type { Config } from "../../config/schema.ts";
import { issueCheckpoint } from "../../evidence/audit-proof.ts";
import { originOf, parseCheckpoints, type SignedCheckpoint } from "../../evidence/note.ts";
import { SigningKeys } from "../../evidence/signing-keys.ts";
import { headsFile, type RecordedHead, type RecordedRoot, readHeads, type Store } from "../../store/index.ts";
import { isSignedBy, readPublicKey } from "../../verify/index.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io, UsageError } from "../shared/io.ts";
import { readOptions } from "../shared/options.ts";
import { pagesOf } from "../shared/pages.ts";
import { callAction } from "../shared/subcommand.ts";
import { tenantOf } from "../shared/tenant.ts";
import { configOf, withStore } from "../shared/with-store.ts";
import { table } from "../terminal/table.ts";

export const help = helpText({
  usage: [
    "audit list [--tenant TENANT] [--json]",
    "audit verify [--tenant TENANT] [--head SEQ:HASH] [--heads FILE] [--checkpoint FILE]",
    "audit heads",
    "audit checkpoint [--tenant TENANT]",
  ],
  about: `
Reads the audit log, which records every change that a person or a key made, such as creating a key or triaging an anomaly.
Each entry is chained to the previous one by its hash. The log is in the store of the configuration, and can be read while
\`driftlock run\` uses it.`,
  lists: [
    [
      "Actions",
      [
        ["list", "list the entries, the newest first"],
        [
          "verify",
          "compute the chain again and compare it with the recorded heads and with the API keys, to find entries that were changed, removed or inserted, and keys that differ from the log",
        ],
        ["heads", "print the number and the hash of each tenant's newest entry, to be kept elsewhere"],
        ["checkpoint", "print a signed checkpoint of the log, to be kept elsewhere"],
      ],
    ],
  ],
  options: [
    ["--tenant TENANT", "the tenant whose log it is (default)"],
    [
      "--head SEQ:HASH",
      "an entry that the log must contain, from an earlier `verify`, the log stream or `audit heads`",
    ],
    ["--heads FILE", "a file of such entries, with one line `TENANT SEQ HASH` each"],
    [
      "--checkpoint FILE",
      "signed checkpoints, one after another, or a bundle of evidence: the log must begin with all that they cover",
    ],
    ["--json", "print one JSON line per entry, with its hashes"],
  ],
  notes: `
Every process appends the heads of its changes to audit-heads.sqlite or audit-heads.postgres in data_dir, and \`verify\` always
reads that file. Whoever can write to the database and to data_dir can alter both, so keep heads where they cannot
write. If a database was replaced on purpose, move that file away.

The hash of an entry is the SHA-256 of the previous hash and of the entry's JSON with sorted names, both as text.`,
  exit: ["The command succeeded.", "The command failed, or `verify` found a difference."],
});

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
  const options = readOptions(args, { values: ["tenant"], switches: ["json"] });
  const tenant = tenantOf(options.values);
  const json = options.switches.has("json");
  await withStore(configOf(options, io), (store) => print(store, tenant, json, io));
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

/** Returns the roots of the tenant's checkpoints in a file. @throws {UsageError} if one of them is not signed by a key of the installation. */
async function rootsIn(file: string, config: Config, tenant: string): Promise<RecordedRoot[]> {
  const refuse = (reason: string) => new UsageError(`--checkpoint: ${file}: ${reason}`);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw refuse(fileFault(error as NodeJS.ErrnoException));
  }
  let checkpoints: SignedCheckpoint[];
  try {
    checkpoints = parseCheckpoints(text.startsWith("{") ? readCheckpoint(text) : text);
  } catch (error) {
    throw refuse((error as Error).message);
  }
  const origin = originOf(config.evidence.origin, tenant);
  const own = checkpoints.filter((each) => each.origin === origin);
  if (own.length === 0) throw refuse(`has no checkpoint of ${origin}; name its tenant with --tenant`);
  const listed = await new SigningKeys(config).list();
  const keys = await Promise.all(listed.map(({ public_key }) => readPublicKey(public_key)));
  for (const each of own) {
    const signed = await Promise.all(keys.map((key) => isSignedBy(each, key)));
    if (!signed.includes(true)) {
      throw refuse(
        `the checkpoint of ${plural(each.size, "entry", "entries")} is not signed by a key of this installation`,
      );
    }
  }
  return own.map(({ size, root }) => ({ size, root, source: file }));
}

/** Returns the checkpoint in the file of a bundle. */
function readCheckpoint(file: string): string {
  const { content } = JSON.parse(file) as { content?: { audit?: { checkpoint?: unknown } } };
  return String(content?.audit?.checkpoint);
}

async function checkpoint(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { values: ["tenant"] });
  const tenant = tenantOf(options.values);
  const config = configOf(options, io);
  const signer = await new SigningKeys(config).current();
  const { note } = await withStore(config, async (store) => {
    const size = await store.auditTree.grow(tenant);
    return issueCheckpoint(store.auditTree, { installation: config.evidence.origin, tenant, size }, signer);
  });
  io.out(note);
  return exit.ok;
}

async function verify(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { values: ["tenant", "head", "heads", "checkpoint"] });
  const tenant = tenantOf(options.values);
  const config = configOf(options, io);
  const [head, given] = [options.values.get("head"), options.values.get("heads")];
  const own = headsFile(config);
  const inOwn = await headsIn(own, tenant);
  const files = given === undefined ? [own] : [given, own];
  const inGiven = given === undefined ? [] : await headsIn(given, tenant);
  if (inGiven === undefined) throw new UsageError(`--heads: ${given} does not exist`);
  const recorded = [...(head === undefined ? [] : [headOf(head)]), ...inGiven, ...(inOwn ?? [])];
  const checkpoints = options.values.get("checkpoint");
  const roots = checkpoints === undefined ? [] : await rootsIn(checkpoints, config, tenant);
  const verdict = await withStore(config, (store) => store.audit.verify(tenant, recorded, roots));
  if (verdict.ok) {
    const { entries, head, keys } = verdict;
    io.out(
      `tenant ${tenant}: ${plural(entries, "entry is", "entries are")} unchanged, the last one with the hash ${head}; ${plural(keys, "API key matches", "API keys match")} the log\n`,
    );
    if (roots.length > 0) {
      io.out(`It begins with all entries of the checkpoints in ${checkpoints}.\n`);
    }
    if (recorded.length === 0 && roots.length === 0) {
      io.err(
        `driftlock: the end of the log could not be checked: no head of the tenant is in ${files.join(" or ")}; add --head or --heads\n`,
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
  const options = readOptions(args);
  const found = await withStore(configOf(options, io), (store) => store.admin.auditHeads());
  for (const { tenant, seq, hash } of found) io.out(`${tenant} ${seq} ${hash}\n`);
  return exit.ok;
}

export function run(args: string[], io: Io): Promise<number> {
  return callAction("audit", { list, verify, heads, checkpoint }, args, io);
}
