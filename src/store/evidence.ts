import { sql, type Transaction } from "kysely";
import { sha256 } from "../base/sha256.ts";
import { checkAuthor, checkId, checkTenant, checkText } from "./arguments.ts";
import { changeAudited } from "./audit.ts";
import type { AuditEntry, AuditInput } from "./audit-chain.ts";
import type { Context } from "./context.ts";
import { InvalidArgument } from "./database/errors.ts";
import type { Tables } from "./database/tables.ts";
import { latestFirst, type Page, type PageRequest } from "./page.ts";

/** A bundle of evidence that is to be stored. */
export interface NewBundle {
  id: string;
  /** The anomaly or the incident that it is about. */
  anomalyId?: string;
  incidentId?: string;
  author: string;
  /** Why it was made, for the audit log. */
  note?: string;
  bytes: Uint8Array;
}

/** The metadata of a bundle. */
export interface StoredBundle extends Omit<NewBundle, "bytes" | "note"> {
  tenant: string;
  /** The time in milliseconds since 1970. */
  createdAt: number;
  size: number;
  /** The SHA-256 of its bytes, in hex. */
  sha256: string;
}

/** The number of bundles that one pass of the retention deletes. */
const expiredAtOnce = 1_000;

interface Row {
  tenant: string;
  id: string;
  anomaly_id: string | null;
  incident_id: string | null;
  author: string;
  created_at: bigint;
  size: bigint;
  sha256: string;
}

function toBundle(row: Row): StoredBundle {
  return {
    tenant: row.tenant,
    id: row.id,
    ...(row.anomaly_id === null ? {} : { anomalyId: row.anomaly_id }),
    ...(row.incident_id === null ? {} : { incidentId: row.incident_id }),
    author: row.author,
    createdAt: Number(row.created_at),
    size: Number(row.size),
    sha256: row.sha256,
  };
}

/** Locks the anomaly's row, so that it is not deleted before the bundle is stored. */
async function hold(trx: Transaction<Tables>, tenant: string, id: string): Promise<void> {
  const anomaly = await trx
    .updateTable("anomalies")
    .set({ id })
    .where("tenant", "=", tenant)
    .where("id", "=", id)
    .returning("id")
    .executeTakeFirst();
  if (anomaly === undefined) throw new InvalidArgument("anomalyId", "there is no such anomaly");
}

export class Evidence {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /**
   * Stores a bundle, with an entry in the audit log. Its bytes are in the database, so that they are stored together with that entry or
   * not at all, and are backed up with it. Its anomaly is kept as long as the bundle.
   * @throws {InvalidArgument} if there is no such anomaly.
   */
  async add(tenant: string, bundle: NewBundle): Promise<StoredBundle> {
    checkTenant(tenant);
    const { now } = this.#context;
    const createdAt = now();
    const row = {
      tenant,
      id: checkId("id", bundle.id),
      anomaly_id: bundle.anomalyId === undefined ? null : checkId("anomalyId", bundle.anomalyId),
      author: checkAuthor(bundle.author),
      created_at: BigInt(createdAt),
      incident_id: bundle.incidentId === undefined ? null : checkId("incidentId", bundle.incidentId),
      size: BigInt(bundle.bytes.length),
      sha256: sha256(bundle.bytes),
    };
    await changeAudited(this.#context, async (trx, append) => {
      if (row.anomaly_id !== null) await hold(trx, tenant, row.anomaly_id);
      await trx
        .insertInto("evidence_bundles")
        .values({ ...row, location: "database" })
        .execute();
      await trx
        .insertInto("evidence_files")
        .values({ tenant, bundle_id: row.id, bytes: bundle.bytes })
        .execute();
      const { note = "" } = bundle;
      const detail = {
        anomaly: row.anomaly_id,
        incident: row.incident_id,
        sha256: row.sha256,
        ...(note !== "" && { note: checkText("note", note, { max: 4_096 }) }),
      };
      const input = { actor: row.author, action: "evidence.created", target: row.id, detail };
      await append(tenant, input, createdAt);
    });
    return toBundle(row);
  }

  /**
   * Deletes a bundle, with an entry in the audit log. Its anomaly is no longer kept because of it.
   * @param detail what the entry says besides the digest of the bundle
   * @returns undefined if there is no such bundle
   */
  async delete(
    tenant: string,
    id: string,
    actor: string,
    detail: AuditInput["detail"] = {},
  ): Promise<StoredBundle | undefined> {
    checkTenant(tenant);
    checkAuthor(actor);
    return changeAudited(this.#context, async (trx, append) => {
      const row = await trx
        .deleteFrom("evidence_bundles")
        .where("tenant", "=", tenant)
        .where("id", "=", checkId("id", id))
        .returningAll()
        .executeTakeFirst();
      if (row === undefined) return undefined;
      const entry = {
        actor,
        action: "evidence.deleted",
        target: id,
        detail: { ...detail, sha256: row.sha256 },
      };
      await append(tenant, entry, this.#context.now());
      return toBundle(row);
    });
  }

  /** Deletes the bundles that were made before a time. Resolves to their number. */
  async expire(tenant: string, before: number): Promise<number> {
    checkTenant(tenant);
    const rows = await this.#context.database.read
      .selectFrom("evidence_bundles")
      .select("id")
      .where("tenant", "=", tenant)
      .where("created_at", "<", BigInt(Math.max(0, Math.floor(before))))
      .orderBy("created_at")
      .limit(expiredAtOnce)
      .execute();
    for (const { id } of rows) await this.delete(tenant, id, "driftlock", { reason: "evidence.max_age" });
    return rows.length;
  }

  async get(tenant: string, id: string): Promise<StoredBundle | undefined> {
    checkTenant(tenant);
    const row = await this.#context.database.read
      .selectFrom("evidence_bundles")
      .selectAll()
      .where("tenant", "=", tenant)
      .where("id", "=", checkId("id", id))
      .executeTakeFirst();
    return row && toBundle(row);
  }

  /** Returns the bytes of a bundle. */
  async bytes(tenant: string, id: string): Promise<Uint8Array | undefined> {
    checkTenant(tenant);
    const row = await this.#context.database.read
      .selectFrom("evidence_files")
      .select("bytes")
      .where("tenant", "=", tenant)
      .where("bundle_id", "=", checkId("id", id))
      .executeTakeFirst();
    return row?.bytes;
  }

  /** The machine's time, in milliseconds since 1970. */
  now(): number {
    return this.#context.now();
  }

  /** Returns since when the tenant's anomalies and its audit log are kept. */
  async kept(tenant: string): Promise<{ oldestAnomaly: number | undefined; auditSince: string | undefined }> {
    checkTenant(tenant);
    const { read } = this.#context.database;
    const { oldest } = await read
      .selectFrom("anomalies")
      .select((eb) => eb.fn.min("recorded_at").as("oldest"))
      .where("tenant", "=", tenant)
      .executeTakeFirstOrThrow();
    const first = await read
      .selectFrom("audit_log")
      .select("entry")
      .where("tenant", "=", tenant)
      .where("seq", "=", 1n)
      .executeTakeFirst();
    return {
      oldestAnomaly: oldest === null ? undefined : Number(oldest),
      auditSince: first && (JSON.parse(first.entry) as AuditEntry).time,
    };
  }

  /** Returns the bytes that all bundles of a tenant take together. */
  async size(tenant: string): Promise<number> {
    checkTenant(tenant);
    const { size } = await this.#context.database.read
      .selectFrom("evidence_bundles")
      .select(sql<bigint | null>`cast(sum(size) as bigint)`.as("size"))
      .where("tenant", "=", tenant)
      .executeTakeFirstOrThrow();
    return Number(size ?? 0n);
  }

  /**
   * Lists bundles, newest first.
   * @param filter `about` is the id of an anomaly or an incident
   */
  async list(
    tenant: string,
    page: PageRequest = {},
    { about, author }: { about?: string; author?: string } = {},
  ): Promise<Page<StoredBundle>> {
    checkTenant(tenant);
    let query = this.#context.database.read
      .selectFrom("evidence_bundles")
      .selectAll()
      .where("tenant", "=", tenant);
    if (author !== undefined) query = query.where("author", "=", author);
    if (about !== undefined) {
      query = query.where((eb) => eb.or([eb("anomaly_id", "=", about), eb("incident_id", "=", about)]));
    }
    const { items, ...rest } = await latestFirst(query, "created_at", page);
    return { items: items.map(toBundle), ...rest };
  }
}
