/**
 * The audit log: a chain for each tenant. An entry's hash is the SHA-256 of the hash before it and the entry's canonical
 * JSON, both as text; the first follows 64 zeros. The tenant's row holds the end of the chain, so that a cut shows too.
 */
import type { Kysely, Transaction } from "kysely";
import { checkText } from "./arguments.ts";
import { canonicalJson, type Json, sha256 } from "./canonical.ts";
import type { Tables } from "./database/tables.ts";

export interface AuditInput {
  /** Who: a key's prefix, a person's name, `driftlock`. */
  actor: string;
  /** What was done, such as `anomaly.resolved` or `key.created`. */
  action: string;
  /** To what: an id. */
  target: string;
  detail?: { readonly [name: string]: Json };
}

export interface AuditEntry extends Required<AuditInput> {
  tenant: string;
  /** From 1, without gaps. */
  seq: number;
  /** RFC 3339, UTC. */
  time: string;
}

export interface ChainedEntry extends AuditEntry {
  previousHash: string;
  hash: string;
}

const maxText = 256;
const maxDetail = 16_384;

/** Makes the tenant known; again is no change. */
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

/** For changes within `changeAudited`, and for migrations. */
export async function appendAudit(
  trx: Transaction<Tables>,
  tenant: string,
  input: AuditInput,
  now: number,
): Promise<ChainedEntry> {
  await ensureTenants(trx, [tenant], now);
  // Takes the lock of the tenant's row, in which entries line up.
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
  checkText("detail", canonicalJson(entry.detail), { max: maxDetail });
  const text = checkText("entry", canonicalJson(entry as unknown as Json), { max: 2 * maxDetail });
  const hash = sha256(previousHash + text);
  await trx
    .insertInto("audit_log")
    .values({ tenant, seq: audit_seq, previous_hash: previousHash, hash, entry: text })
    .execute();
  await trx.updateTable("tenants").set({ audit_hash: hash }).where("id", "=", tenant).execute();
  return { ...entry, previousHash, hash };
}
