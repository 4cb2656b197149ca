/**
 * The audit log: a chain of entries for each tenant. An entry's hash is the SHA-256 of the previous entry's hash and the
 * entry's canonical JSON, both as text; the first entry follows 64 zeros. The tenant's row holds the end of the chain,
 * so that a truncation is detected as well.
 */
import type { Kysely, Transaction } from "kysely";
import type { Json } from "../base/canonical.ts";
import { sha256 } from "../base/sha256.ts";
import { checkJson, checkText } from "./arguments.ts";
import type { Tables } from "./database/tables.ts";

export interface AuditInput {
  /** The author of the change: a key's prefix, a person's name or `driftlock`. */
  actor: string;
  /** The kind of change, such as `anomaly.resolved` or `key.created`. */
  action: string;
  /** The id of what was changed. */
  target: string;
  detail?: { readonly [name: string]: Json };
}

export interface AuditEntry extends Required<AuditInput> {
  tenant: string;
  /** The number of the entry in its log: from 1, without gaps. */
  seq: number;
  /** The time as RFC 3339 in UTC. */
  time: string;
}

export interface ChainedEntry extends AuditEntry {
  previousHash: string;
  hash: string;
}

const maxText = 256;
const maxDetail = 16_384;

/** Returns how the stored text of an entry begins if its action begins like this: `action` is the first name of its canonical JSON. */
export const beginningOf = (action: string): string => `{"action":"${action}`;

/** Creates the tenants that do not exist yet. */
export async function ensureTenants(
  db: Kysely<Tables>,
  tenants: Iterable<string>,
  now: number,
): Promise<void> {
  const rows = [...tenants].sort().map((id) => ({ id, created_at: now }));
  for (let at = 0; at < rows.length; at += 100) {
    await db
      .insertInto("tenants")
      .values(rows.slice(at, at + 100))
      .onConflict((conflict) => conflict.column("id").doNothing())
      .execute();
  }
}

/** Appends an entry within a transaction. It is called by `changeAudited` and by migrations. */
export async function appendAudit(
  trx: Transaction<Tables>,
  tenant: string,
  input: AuditInput,
  now: number,
): Promise<ChainedEntry> {
  await ensureTenants(trx, [tenant], now);
  // This locks the tenant's row, which puts concurrent entries in order.
  const { audit_seq, audit_hash: previousHash } = await trx
    .updateTable("tenants")
    .set((eb) => ({ audit_seq: eb("audit_seq", "+", 1n) }))
    .where("id", "=", tenant)
    .returning(["audit_seq", "audit_hash"])
    .executeTakeFirstOrThrow();
  const entry: AuditEntry = {
    tenant,
    seq: Number(audit_seq),
    time: new Date(now).toISOString(),
    actor: checkText("actor", input.actor, { min: 1, max: maxText }),
    action: checkText("action", input.action, { min: 1, max: maxText }),
    target: checkText("target", input.target, { max: maxText }),
    detail: input.detail ?? {},
  };
  checkText("detail", checkJson("detail", entry.detail), { max: maxDetail });
  const text = checkText("entry", checkJson("entry", entry as unknown as Json), { max: 2 * maxDetail });
  const hash = sha256(previousHash + text);
  await trx
    .insertInto("audit_log")
    .values({ tenant, seq: audit_seq, previous_hash: previousHash, hash, entry: text })
    .execute();
  await trx.updateTable("tenants").set({ audit_hash: hash }).where("id", "=", tenant).execute();
  return { ...entry, previousHash, hash };
}
