/**
 * The audit log: a chain for each tenant. An entry's hash is the SHA-256 of the hash before it and the entry's canonical
 * JSON, both as text; the first follows 64 zeros. The tenant's row holds the end of the chain, so that a cut shows too.
 */
import type { Kysely, Transaction } from "kysely";
import { checkTenant, checkText } from "./arguments.ts";
import { canonicalJson, type Json, sha256 } from "./canonical.ts";
import type { Context } from "./context.ts";
import { type Page, type PageRequest, pageLimit, parsePosition, toPage } from "./page.ts";
import type { Tables } from "./tables.ts";

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

export type AuditVerdict =
  /** `head` is worth keeping elsewhere: who can write the whole database can write a whole new chain. */
  { ok: true; entries: number; head: string } | { ok: false; seq: number; reason: string };

const maxText = 256;
const maxDetail = 16_384;
const verifyBatch = 500;

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

/** Appends within the transaction of the change itself: there is neither one without the other. */
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

export class Audit {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  async append(tenant: string, input: AuditInput): Promise<ChainedEntry> {
    checkTenant(tenant);
    const { database, now } = this.#context;
    return database.write.transaction().execute((trx) => appendAudit(trx, tenant, input, now()));
  }

  /** Newest first. */
  async list(tenant: string, page: PageRequest = {}): Promise<Page<ChainedEntry>> {
    checkTenant(tenant);
    const limit = pageLimit(page);
    const position = parsePosition(page);
    let query = this.#context.database.read
      .selectFrom("audit_log")
      .selectAll()
      .where("tenant", "=", tenant)
      .orderBy("seq", "desc")
      .limit(limit + 1);
    if (position !== undefined) query = query.where("seq", "<", position.major);
    return toPage(
      await query.execute(),
      limit,
      ({ seq }) => ({ major: seq, minor: "-" }),
      ({ entry, previous_hash: previousHash, hash }) => ({
        ...(JSON.parse(entry) as AuditEntry),
        previousHash,
        hash,
      }),
    );
  }

  /** Computes the tenant's chain again, from its first entry to its end. */
  async verify(tenant: string): Promise<AuditVerdict> {
    checkTenant(tenant);
    const db = this.#context.database.read;
    const end = db.selectFrom("tenants").where("id", "=", tenant);
    // In one statement: others append meanwhile.
    const log = await db
      .selectFrom("audit_log")
      .select((eb) => [eb.fn.min("seq").as("first"), eb.fn.max("seq").as("newest")])
      .select([end.select("audit_seq").as("audit_seq"), end.select("audit_hash").as("audit_hash")])
      .where("tenant", "=", tenant)
      .executeTakeFirstOrThrow();
    const last = Number(log.audit_seq ?? 0n);
    if (log.first !== null && log.first < 1n) {
      return { ok: false, seq: 0, reason: "there are entries before the first" };
    }
    if (log.newest !== null && log.newest > last) {
      return {
        ok: false,
        seq: last + 1,
        reason: "there are entries beyond the chain's end in the tenant's row",
      };
    }
    let head = "0".repeat(64);
    let seq = 0;
    for (;;) {
      const rows = await db
        .selectFrom("audit_log")
        .selectAll()
        .where("tenant", "=", tenant)
        .where("seq", ">", BigInt(seq))
        .where("seq", "<=", BigInt(last))
        .orderBy("seq")
        .limit(verifyBatch)
        .execute();
      for (const row of rows) {
        seq += 1;
        const reason = brokenLink(row, { tenant, seq, head });
        if (reason !== undefined) return { ok: false, seq, reason };
        head = row.hash;
      }
      if (rows.length < verifyBatch) break;
    }
    if (seq < last) return { ok: false, seq: seq + 1, reason: "the last entries are missing" };
    if (log.audit_hash !== null && head !== log.audit_hash) {
      return { ok: false, seq, reason: "the chain's end is not the one that the tenant's row names" };
    }
    return { ok: true, entries: seq, head };
  }
}

function brokenLink(
  row: { seq: bigint; previous_hash: string; hash: string; entry: string },
  expected: { tenant: string; seq: number; head: string },
): string | undefined {
  if (Number(row.seq) !== expected.seq) return "an entry is missing";
  if (row.previous_hash !== expected.head) return "the entry does not follow the one before it";
  if (sha256(row.previous_hash + row.entry) !== row.hash) return "the entry is not the one that was hashed";
  const { tenant, seq } = JSON.parse(row.entry) as AuditEntry;
  if (tenant !== expected.tenant || seq !== expected.seq) return "the entry belongs elsewhere in the log";
  return undefined;
}
