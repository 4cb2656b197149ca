/** The keys that sign evidence. */
import { defaultTenant } from "../../access/principal.ts";
import { toJson } from "../../base/printable.ts";
import { sha256Bytes } from "../../base/sha256.ts";
import { noteKey, originOf } from "../../evidence/note.ts";
import { defaultOverlapMs, type ListedKey, rawKey, SigningKeys } from "../../evidence/signing-keys.ts";
import { author } from "../shared/author.ts";
import { exit, type Io, UsageError } from "../shared/io.ts";
import { readOptions } from "../shared/options.ts";
import type { Options } from "../shared/parse-options.ts";
import { callAction } from "../shared/subcommand.ts";
import { tenantOf } from "../shared/tenant.ts";
import { durationMs } from "../shared/values.ts";
import { configOf, withStore } from "../shared/with-store.ts";
import { table } from "../terminal/table.ts";

/** Notes what was done with a key in the audit log of the tenant that all installations have. */
async function record(options: Options, action: string, id: string, io: Io): Promise<void> {
  await withStore(configOf(options, io), (store) =>
    store.audit.append(defaultTenant, { actor: author(), action, target: id }),
  );
}

async function create(args: string[], io: Io): Promise<number> {
  const options = readOptions(args);
  const keys = new SigningKeys(configOf(options, io));
  const [existing] = (await keys.list()).slice(-1);
  if (existing !== undefined) {
    io.err(
      `driftlock: there is a key already, ${existing.id}; \`driftlock keys signing rotate\` replaces it\n`,
    );
    return exit.failure;
  }
  const { keyId } = await keys.current();
  await record(options, "signing_key.created", keyId, io);
  io.out(`${keyId}\n`);
  return exit.ok;
}

async function list(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { switches: ["json"] });
  const keys = await new SigningKeys(configOf(options, io)).list();
  if (options.switches.has("json")) {
    io.out(`${toJson(keys)}\n`);
    return exit.ok;
  }
  const rows = keys.map(({ id, valid_from, valid_until }) => [id, valid_from, valid_until ?? "signs now"]);
  io.out(table(["FINGERPRINT", "FROM", "UNTIL"], rows));
  return exit.ok;
}

async function rotate(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { values: ["overlap"] });
  const given = options.values.get("overlap");
  const overlap = given === undefined ? defaultOverlapMs : durationMs(given);
  if (overlap === undefined) throw new UsageError("--overlap must be a duration such as 24h, or 0s");
  const { keyId } = await new SigningKeys(configOf(options, io)).rotate(overlap);
  await record(options, "signing_key.rotated", keyId, io);
  io.out(`${keyId}\n`);
  return exit.ok;
}

function found(keys: readonly ListedKey[], id: string | undefined): ListedKey {
  const key = id === undefined ? keys.at(-1) : keys.find((each) => each.id.startsWith(id));
  if (key !== undefined) return key;
  throw new Error(
    id === undefined
      ? "there is no key yet; `driftlock keys signing create` makes one"
      : `there is no key ${id}; \`driftlock keys signing list\` lists them`,
  );
}

async function exportKey(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, { values: ["id", "tenant"], switches: ["note"] });
  const config = configOf(options, io);
  const { public_key } = found(await new SigningKeys(config).list(), options.values.get("id"));
  if (options.switches.has("note")) {
    const name = originOf(config.evidence.origin, tenantOf(options.values));
    io.out(`${await noteKey(sha256Bytes, name, rawKey(public_key))}\n`);
  } else {
    io.out(public_key);
  }
  return exit.ok;
}

export function signing(args: string[], io: Io): Promise<number> {
  return callAction("keys signing", { create, list, rotate, export: exportKey }, args, io);
}
