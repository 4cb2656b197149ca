import { toJson } from "../../base/printable.ts";
import { type ApiKey, type Scope, type Store, scopes } from "../../store/index.ts";
import { author } from "../shared/author.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io, UsageError } from "../shared/io.ts";
import { readOptions } from "../shared/options.ts";
import { pagesOf } from "../shared/pages.ts";
import { callAction } from "../shared/subcommand.ts";
import { tenantOf } from "../shared/tenant.ts";
import { durationMs } from "../shared/values.ts";
import { configOf, withStore } from "../shared/with-store.ts";
import { table } from "../terminal/table.ts";
import { signing } from "./signing.ts";

export const help = helpText({
  usage: [
    "keys create --name NAME --scopes SCOPE[,SCOPE]... [--tenant TENANT] [--expires 365d]",
    "keys list [--tenant TENANT] [--json]",
    "keys rotate ID [--tenant TENANT] [--grace 24h]",
    "keys revoke ID [--tenant TENANT]",
    "keys signing create",
    "keys signing list [--json]",
    "keys signing rotate [--overlap 24h]",
    "keys signing export [--id ID] [--note [--tenant TENANT]]",
  ],
  about: `
Manages API keys, which OTLP and the HTTP API accept as \`authorization: Bearer dlk_…\` if auth.enabled is true. The keys are
in the store of the configuration; they can be changed while \`driftlock run\` uses it.`,
  lists: [
    [
      "Actions",
      [
        ["create", "create a key and print it"],
        ["list", "list the keys of a tenant"],
        [
          "rotate",
          "create a key with the name, the scopes and the lifetime of an existing one, and print it",
        ],
        ["revoke", "make a key invalid, which takes effect within seconds"],
      ],
    ],
    [
      "Keys that sign evidence, of which only the public part is ever printed",
      [
        ["signing create", "make the key in data_dir, which otherwise happens when it is first needed"],
        ["signing list", "list the fingerprints of the keys and when they were valid"],
        ["signing rotate", "make a new key, which signs from now on"],
        ["signing export", "print the public key in PEM; with --note as verifiers of checkpoints read it"],
      ],
    ],
  ],
  options: [
    ["--name NAME", "what the key is for"],
    ["--scopes LIST", "ingest: send records; read: query; admin: triage anomalies and query"],
    ["--tenant TENANT", "the tenant that owns the key (default)"],
    ["--expires TIME", "how long the key is valid, such as 90d, or never (365d)"],
    ["--grace TIME", "how long the old key stays valid, unless it expires earlier; 0s ends it at once (24h)"],
    ["--overlap TIME", "how long the signing key before a rotation stays valid (24h)"],
    ["--id ID", "the beginning of the fingerprint of a signing key (the one that signs now)"],
    ["--json", "print one JSON line per key; `signing list` prints one list"],
  ],
  notes: "`create` and `rotate` print the key on standard output, once. Only its hash is stored.",
  exit: ["The command succeeded.", "The command failed."],
});

const defaultLife = "365d";
const defaultGrace = "24h";

function scopesOf(text: string | undefined): Scope[] {
  const names = (text ?? "").split(",").filter(Boolean);
  const wrong = names.find((name) => !scopes.includes(name as Scope));
  if (names.length > 0 && wrong === undefined) return names as Scope[];
  throw new UsageError(
    `--scopes must be a list of ${scopes.join(", ")}${wrong ? `, has ${JSON.stringify(wrong)}` : ""}`,
  );
}

function expiryOf(text: string): number | undefined {
  if (text === "never") return undefined;
  const ms = durationMs(text);
  if (ms === undefined || ms === 0)
    throw new UsageError("--expires must be a duration such as 90d, at most 36500d, or never");
  return Date.now() + ms;
}

async function create(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { values: ["name", "scopes", "tenant", "expires"] });
  const name = options.values.get("name");
  if (!name) throw new UsageError("--name is missing; describe what the key is for");
  const tenant = tenantOf(options.values);
  const granted = scopesOf(options.values.get("scopes"));
  const expiresAt = expiryOf(options.values.get("expires") ?? defaultLife);
  const input = { name, scopes: granted, ...(expiresAt !== undefined && { expiresAt }) };
  const config = configOf(options, io);
  const { secret, key } = await withStore(config, (store) => store.keys.create(tenant, input, author()));
  io.out(`${secret}\n`);
  const ends = key.expiresAt === undefined ? "does not expire" : `expires on ${date(key.expiresAt)}`;
  io.err(
    `Key ${key.id} of tenant ${tenant} has the scopes ${key.scopes.join(", ")} and ${ends}. It is not shown again.\n`,
  );
  if (!config.auth.enabled) io.err("auth.enabled is false in this configuration, so no key is required.\n");
  return exit.ok;
}

function date(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function stateOf({ revokedAt, expiresAt }: ApiKey): string {
  if (revokedAt !== undefined) return `revoked ${date(revokedAt)}`;
  if (expiresAt === undefined) return "valid";
  return `${expiresAt <= Date.now() ? "expired" : "until"} ${date(expiresAt)}`;
}

async function allKeys(store: Store, tenant: string): Promise<ApiKey[]> {
  const keys: ApiKey[] = [];
  for await (const page of pagesOf((request) => store.keys.list(tenant, request))) keys.push(...page);
  return keys;
}

async function list(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { values: ["tenant"], switches: ["json"] });
  const tenant = tenantOf(options.values);
  const keys = await withStore(configOf(options, io), (store) => allKeys(store, tenant));
  if (options.switches.has("json")) {
    for (const key of keys) io.out(`${toJson(key)}\n`);
    return exit.ok;
  }
  const rows = keys.map((key) => [
    key.id,
    key.name,
    key.scopes.join(","),
    stateOf(key),
    date(key.createdAt),
    key.lastUsedAt === undefined ? "never" : date(key.lastUsedAt),
    key.createdBy,
  ]);
  io.out(table(["ID", "NAME", "SCOPES", "STATE", "CREATED", "USED", "BY"], rows));
  return exit.ok;
}

/** Accepts the prefix of a key as well, since people copy it whole. */
function idOf([text]: readonly string[]): string {
  return text!.replace(/^dlk_/, "");
}

function unknownKey(tenant: string, id: string, io: Io): number {
  io.err(
    `driftlock: tenant ${tenant} has no key ${id}; \`driftlock keys list --tenant ${tenant}\` lists its keys\n`,
  );
  return exit.failure;
}

async function rotate(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { values: ["tenant", "grace"], positionals: ["ID"] });
  const id = idOf(options.positionals);
  const tenant = tenantOf(options.values);
  const grace = durationMs(options.values.get("grace") ?? defaultGrace);
  if (grace === undefined)
    throw new UsageError("--grace must be a duration such as 24h, at most 36500d, or 0s");
  const rotated = await withStore(configOf(options, io), (store) =>
    store.keys.rotate(tenant, id, grace, author()),
  );
  if (rotated === undefined) return unknownKey(tenant, id, io);
  const { secret, key, replaced } = rotated;
  io.out(`${secret}\n`);
  const until = new Date(replaced.expiresAt!).toISOString();
  io.err(
    `Key ${key.id} replaces ${id} (${key.name}), which is valid until ${until}. It is not shown again.\n`,
  );
  return exit.ok;
}

async function revoke(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { values: ["tenant"], positionals: ["ID"] });
  const id = idOf(options.positionals);
  const tenant = tenantOf(options.values);
  const key = await withStore(configOf(options, io), (store) => store.keys.revoke(tenant, id, author()));
  if (key === undefined) return unknownKey(tenant, id, io);
  io.out(`revoked ${key.id} (${key.name})\n`);
  return exit.ok;
}

export function run(args: string[], io: Io): Promise<number> {
  return callAction("keys", { create, list, rotate, revoke, signing }, args, io);
}
