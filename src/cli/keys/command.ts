import { userInfo } from "node:os";
import { toJson } from "../../base/printable.ts";
import { type ApiKey, type Scope, type Store, scopes } from "../../store/index.ts";
import { durationMs } from "../shared/duration.ts";
import { exit, type Io, UsageError } from "../shared/io.ts";
import { refusePositionals, takeOwnOptions } from "../shared/own-options.ts";
import { pagesOf } from "../shared/pages.ts";
import { callAction } from "../shared/subcommand.ts";
import { tenantOf } from "../shared/tenant.ts";
import { configOf, withStore } from "../shared/with-store.ts";
import { table } from "../terminal/table.ts";

export const help = `Usage: driftlock keys create --name NAME --scopes SCOPE[,SCOPE]... [--tenant TENANT] [--expires 365d]
       driftlock keys list [--tenant TENANT] [--json]
       driftlock keys rotate ID [--tenant TENANT] [--grace 24h]
       driftlock keys revoke ID [--tenant TENANT]

API keys, for OTLP and the HTTP API alike: \`authorization: Bearer dlk_…\`. They work where auth.enabled is true. The store is
that of the configuration, also while \`driftlock run\` uses it; a revoked key ends within seconds.
\`rotate\` makes a key of the same name, scopes and length of life; hand it out while the old one still works.

  --name NAME      what the key is for
  --scopes LIST    ingest: send records. read: ask. admin: judge anomalies, and read
  --tenant TENANT  whose key it is (default)
  --expires TIME   so long it works, such as 90d, or never (365d)
  --grace TIME     so long the old key still works, or less where it ends before; 0s: not at all (24h)
  --json           one JSON line a key
  --config FILE    the configuration in YAML; every key of it is a flag as well

\`create\` and \`rotate\` print the key, once, on standard output. It is stored as a hash.
`;

const defaultLife = "365d";
const defaultGrace = "24h";

function scopesOf(text: string | undefined): Scope[] {
  const names = (text ?? "").split(",").filter(Boolean);
  const wrong = names.find((name) => !scopes.includes(name as Scope));
  if (names.length > 0 && wrong === undefined) return names as Scope[];
  throw new UsageError(`--scopes must be some of ${scopes.join(",")}${wrong ? `, has ${wrong}` : ""}`);
}

function expiryOf(text: string): number | undefined {
  if (text === "never") return undefined;
  const ms = durationMs(text);
  if (ms === undefined || ms === 0)
    throw new UsageError("--expires must be a time such as 90d, at most 36500d, or never");
  return Date.now() + ms;
}

/** As the audit log names who uses the command line. */
function author(): string {
  return `cli:${userInfo().username}`;
}

async function create(args: string[], io: Io): Promise<number> {
  const own = takeOwnOptions(args, ["name", "scopes", "tenant", "expires"], []);
  refusePositionals(own.positionals);
  const name = own.values.get("name");
  if (!name) throw new UsageError("--name is missing: say what the key is for");
  const tenant = tenantOf(own.values);
  const granted = scopesOf(own.values.get("scopes"));
  const expiresAt = expiryOf(own.values.get("expires") ?? defaultLife);
  const input = { name, scopes: granted, ...(expiresAt !== undefined && { expiresAt }) };
  const config = configOf(own.rest, io);
  const { secret, key } = await withStore(config, (store) => store.keys.create(tenant, input, author()));
  io.out(`${secret}\n`);
  const ends = key.expiresAt === undefined ? "does not expire" : `expires on ${date(key.expiresAt)}`;
  io.err(
    `key ${key.id} of tenant ${tenant} may ${key.scopes.join(", ")}; it ${ends}. It is not shown again.\n`,
  );
  if (!config.auth.enabled)
    io.err("auth.enabled is false in this configuration: nobody is asked for a key.\n");
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
  const own = takeOwnOptions(args, ["tenant"], ["json"]);
  refusePositionals(own.positionals);
  const tenant = tenantOf(own.values);
  const keys = await withStore(configOf(own.rest, io), (store) => allKeys(store, tenant));
  if (own.switches.has("json")) {
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

function idOf(action: string, [text, ...more]: string[]): string {
  if (text === undefined || more.length > 0)
    throw new UsageError(`${action} takes one key's ID; \`keys list\` shows it`);
  // People copy the whole prefix.
  return text.replace(/^dlk_/, "");
}

function unknownKey(tenant: string, id: string, io: Io): number {
  io.err(
    `driftlock: tenant ${tenant} has no key ${id}; \`driftlock keys list --tenant ${tenant}\` shows them\n`,
  );
  return exit.failure;
}

async function rotate(args: string[], io: Io): Promise<number> {
  const own = takeOwnOptions(args, ["tenant", "grace"], []);
  const id = idOf("rotate", own.positionals);
  const tenant = tenantOf(own.values);
  const grace = durationMs(own.values.get("grace") ?? defaultGrace);
  if (grace === undefined) throw new UsageError("--grace must be a time such as 24h, at most 36500d, or 0s");
  const rotated = await withStore(configOf(own.rest, io), (store) =>
    store.keys.rotate(tenant, id, grace, author()),
  );
  if (rotated === undefined) return unknownKey(tenant, id, io);
  const { secret, key, replaced } = rotated;
  io.out(`${secret}\n`);
  const until = new Date(replaced.expiresAt!).toISOString();
  io.err(
    `key ${key.id} takes the place of ${id} (${key.name}), which works until ${until}. It is not shown again.\n`,
  );
  return exit.ok;
}

async function revoke(args: string[], io: Io): Promise<number> {
  const own = takeOwnOptions(args, ["tenant"], []);
  const id = idOf("revoke", own.positionals);
  const tenant = tenantOf(own.values);
  const key = await withStore(configOf(own.rest, io), (store) => store.keys.revoke(tenant, id, author()));
  if (key === undefined) return unknownKey(tenant, id, io);
  io.out(`revoked ${key.id} (${key.name})\n`);
  return exit.ok;
}

export function run(args: string[], io: Io): Promise<number> {
  return callAction("keys", { create, list, rotate, revoke }, args, io);
}
