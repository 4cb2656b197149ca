/** Records changes in the audit log, lists its entries and verifies it. */
import type { Transaction } from "kysely";
import { sha256 } from "../base/sha256.ts";
import { checkTenant } from "./arguments.ts";
import {
  type AuditEntry,
  type AuditInput,
  appendAudit,
  beginningOf,
  type ChainedEntry,
} from "./audit-chain.ts";
import { Frontier } from "./audit-tree.ts";
import type { Context } from "./context.ts";
import type { Tables } from "./database/tables.ts";
import { KeptLedger, type Missing } from "./kept-ledger.ts";
import { KeyHistory, readKeyRows } from "./key-history.ts";
import { type Page, type PageRequest, pageLimit, parsePosition, toPage } from "./page.ts";

export type AuditVerdict =
  /**
   * The log is intact, and `keys` API keys agree with it. `head` should be kept elsewhere as well: whoever can write to
   * the database can write a complete new chain.
   */
  | { ok: true; entries: number; head: string; keys: number }
  /** The log was altered at `seq`. If `seq` is undefined, the chain is intact but something else contradicts it. */
  | { ok: false; seq?: number; reason: string };

/** A head that was recorded outside of the database. */
export interface RecordedHead {
  seq: number;
  hash: string;
  /** The origin of the head, as messages show it. */
  source: string;
}

/** The root of the log's Merkle tree at some time, in hex, from a checkpoint that was kept outside of the database. */
export interface RecordedRoot {
  size: number;
  root: string;
  source: string;
}

const verifyBatch = 500;
/** The number of tenants for which it is remembered what must be there. */
const maxLedgers = 100;
/** Maximum number of attempts to read the keys while they change. */
const maxTries = 10;

/** Appends an entry within the transaction of a change. */
export type Append = (tenant: string, input: AuditInput, now: number) => Promise<ChainedEntry>;

/**
 * Makes a change and appends its entries in one transaction, so that neither exists without the other, and records the
 * new heads.
 */
export async function changeAudited<T>(
  { database, heads }: Context,
  change: (trx: Transaction<Tables>, append: Append) => Promise<T>,
): Promise<T> {
  const entries: ChainedEntry[] = [];
  const result = await database.write.transaction().execute((trx) =>
    change(trx, async (tenant, input, now) => {
      const entry = await appendAudit(trx, tenant, input, now);
      entries.push(entry);
      return entry;
    }),
  );
  await heads.record(entries);
  return result;
}

export class Audit {
  readonly #context: Context;
  /** What must be there, by tenant, according to the entries up to `seq`: a long log is read once. The last one was used last. */
  readonly #ledgers = new Map<string, { ledger: KeptLedger; seq: bigint }>();

  constructor(context: Context) {
    this.#context = context;
  }

  async append(tenant: string, input: AuditInput): Promise<ChainedEntry> {
    checkTenant(tenant);
    return changeAudited(this.#context, (_trx, append) => append(tenant, input, this.#context.now()));
  }

  /** Lists entries, newest first. */
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

  /**
   * Computes the tenant's chain and tree again, from the first entry to the end, and compares them with the heads and
   * roots that were recorded elsewhere, and with the tenant's API keys.
   */
  async verify(
    tenant: string,
    recorded: readonly RecordedHead[] = [],
    roots: readonly RecordedRoot[] = [],
  ): Promise<AuditVerdict> {
    checkTenant(tenant);
    const walk = new Walk(tenant, recorded, roots);
    for (let tries = 0; ; tries++) {
      const broken = await this.#follow(walk);
      if (broken !== undefined) return broken;
      const { seq } = walk;
      const rows = await readKeyRows(this.#context.database.read, tenant);
      const missing = await walk.kept.missing(this.#context.database.read, tenant);
      const reason = walk.keys.disagreement(rows) ?? missingText(missing);
      if (reason === undefined) return walk.verdict();
      // A key may have been changed meanwhile, or something deleted, in which case its entry has been appended by now.
      const again = await this.#follow(walk);
      if (again !== undefined) return again;
      if (walk.seq === seq || tries === maxTries) return { ok: false, reason };
    }
  }

  /**
   * Returns what is missing of a tenant although no entry says that it was deleted. It believes the entries as they are: `verify`
   * checks them.
   */
  async missing(tenant: string): Promise<Missing[]> {
    checkTenant(tenant);
    const { read } = this.#context.database;
    const log = read.selectFrom("audit_log").where("tenant", "=", tenant);
    const known = this.#ledgerOf(tenant);
    const { newest } = await log.select((eb) => eb.fn.max("seq").as("newest")).executeTakeFirstOrThrow();
    const rows = await log
      .select(["seq", "entry"])
      .where("seq", ">", known.seq)
      .where("entry", "like", `${beginningOf("retention.")}%`)
      .orderBy("seq")
      .execute();
    // Another call may have applied the same entries meanwhile.
    for (const { seq, entry } of rows) {
      if (seq <= known.seq) continue;
      known.ledger.apply(JSON.parse(entry) as AuditEntry);
      known.seq = seq;
    }
    if (newest !== null && newest > known.seq) known.seq = newest;
    return known.ledger.missing(read, tenant);
  }

  #ledgerOf(tenant: string): { ledger: KeptLedger; seq: bigint } {
    const known = this.#ledgers.get(tenant) ?? { ledger: new KeptLedger(), seq: 0n };
    this.#ledgers.delete(tenant);
    this.#ledgers.set(tenant, known);
    if (this.#ledgers.size > maxLedgers) this.#ledgers.delete(this.#ledgers.keys().next().value!);
    return known;
  }

  /** Continues to the current end of the chain. */
  async #follow(walk: Walk): Promise<AuditVerdict | undefined> {
    const { tenant } = walk;
    const db = this.#context.database.read;
    const end = db.selectFrom("tenants").where("id", "=", tenant);
    // This is one statement, since other processes may append between two.
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
    for (;;) {
      const rows = await db
        .selectFrom("audit_log")
        .selectAll()
        .where("tenant", "=", tenant)
        .where("seq", ">", BigInt(walk.seq))
        .where("seq", "<=", BigInt(last))
        .orderBy("seq")
        .limit(verifyBatch)
        .execute();
      for (const row of rows) {
        const reason = await walk.step(row);
        if (reason !== undefined) return { ok: false, seq: walk.seq, reason };
      }
      if (rows.length < verifyBatch) break;
    }
    if (walk.seq < last) {
      const which = walk.seq === 0 ? "all entries are missing" : "the last entries are missing";
      return { ok: false, seq: walk.seq + 1, reason: which };
    }
    if (log.audit_hash !== null && walk.head !== log.audit_hash) {
      return {
        ok: false,
        seq: walk.seq,
        reason: "the chain's end is not the one that the tenant's row names",
      };
    }
    return walk.missing();
  }
}

function missingText(missing: readonly Missing[]): string | undefined {
  const [first] = missing;
  if (first === undefined) return undefined;
  const more = missing.length > 1 ? `, and others (${missing.length} in all)` : "";
  return `${first.count} of the ${first.kind} stored on ${first.day} are missing, and no entry says that they were deleted${more}`;
}

/** The position of a verification in a tenant's chain. */
class Walk {
  readonly tenant: string;
  seq = 0;
  head = "0".repeat(64);
  readonly keys = new KeyHistory();
  readonly kept = new KeptLedger();
  readonly #recorded: Map<number, RecordedHead[]>;
  readonly #roots: Map<number, RecordedRoot[]>;
  readonly #tree = new Frontier();

  constructor(tenant: string, recorded: readonly RecordedHead[], roots: readonly RecordedRoot[]) {
    this.tenant = tenant;
    this.#recorded = Map.groupBy(recorded, ({ seq }) => seq);
    this.#roots = Map.groupBy(roots, ({ size }) => size);
  }

  /**
   * Checks the next entry.
   * @returns why it does not fit; undefined if it does
   */
  async step(row: {
    seq: bigint;
    previous_hash: string;
    hash: string;
    entry: string;
  }): Promise<string | undefined> {
    this.seq += 1;
    const reason = brokenLink(row, this);
    if (reason !== undefined) return reason;
    this.head = row.hash;
    const other = this.#recorded.get(this.seq)?.find(({ hash }) => hash !== row.hash);
    if (other !== undefined) {
      return `the log was rewritten: ${other.source} has another entry with this number`;
    }
    if (this.#roots.size > 0) await this.#tree.append(this.seq - 1, row.entry);
    const roots = this.#roots.get(this.seq);
    if (roots !== undefined) {
      const root = await this.#tree.root();
      const wrong = roots.find((each) => each.root !== root);
      if (wrong !== undefined) {
        return `the log was rewritten: ${wrong.source} has another tree of the first ${this.seq} entries`;
      }
    }
    const entry = JSON.parse(row.entry) as AuditEntry;
    this.kept.apply(entry);
    return this.keys.apply(entry);
  }

  /** Returns the verdict if a recorded head is beyond the end of the log; undefined if none is. */
  missing(): AuditVerdict | undefined {
    const recorded = [
      ...[...this.#recorded.values()].flat(),
      ...[...this.#roots.values()].flat().map(({ size: seq, source }) => ({ seq, source })),
    ];
    const beyond = recorded.filter(({ seq }) => seq > this.seq);
    if (beyond.length === 0) return undefined;
    const { seq, source } = beyond.reduce((a, b) => (b.seq > a.seq ? b : a));
    const what = this.seq === 0 ? "the whole log was removed" : "the newest entries were removed";
    return { ok: false, seq: this.seq + 1, reason: `${what}: ${source} has entry ${seq}` };
  }

  verdict(): AuditVerdict {
    return { ok: true, entries: this.seq, head: this.head, keys: this.keys.size };
  }
}

function brokenLink(
  row: { seq: bigint; previous_hash: string; hash: string; entry: string },
  expected: Pick<Walk, "tenant" | "seq" | "head">,
): string | undefined {
  if (Number(row.seq) !== expected.seq) return "an entry is missing";
  if (row.previous_hash !== expected.head) return "the entry does not follow the previous one";
  if (sha256(row.previous_hash + row.entry) !== row.hash) return "the entry does not match its hash";
  const { tenant, seq } = JSON.parse(row.entry) as AuditEntry;
  if (tenant !== expected.tenant || seq !== expected.seq) return "the entry belongs elsewhere in the log";
  return undefined;
}
