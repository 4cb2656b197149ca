import type { Transaction } from "kysely";
import { checkAuthor, checkId, checkTenant, checkText } from "./arguments.ts";
import { changeAudited } from "./audit.ts";
import type { Context } from "./context.ts";
import { InvalidArgument } from "./database/errors.ts";
import type { Tables } from "./database/tables.ts";
import { latestFirst, type Page, type PageRequest } from "./page.ts";

/** The metadata of an evidence bundle; its bytes are stored elsewhere. */
export interface EvidenceBundle {
  id: string;
  /** The anomaly that the bundle is about, if any. */
  anomalyId?: string;
  author: string;
  size: number;
  /** The SHA-256 of its bytes, in hex. */
  sha256: string;
  location: string;
}

export interface StoredBundle extends EvidenceBundle {
  tenant: string;
  /** The time in milliseconds since 1970. */
  createdAt: number;
}

interface Row {
  tenant: string;
  id: string;
  anomaly_id: string | null;
  author: string;
  created_at: bigint;
  size: bigint;
  sha256: string;
  location: string;
}

function toBundle(row: Row): StoredBundle {
  return {
    tenant: row.tenant,
    id: row.id,
    ...(row.anomaly_id === null ? {} : { anomalyId: row.anomaly_id }),
    author: row.author,
    createdAt: Number(row.created_at),
    size: Number(row.size),
    sha256: row.sha256,
    location: row.location,
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
   * Stores a bundle's metadata. Its anomaly is kept as long as the bundle.
   * @throws {InvalidArgument} if there is no such anomaly.
   */
  async add(tenant: string, bundle: EvidenceBundle): Promise<StoredBundle> {
    checkTenant(tenant);
    const { now } = this.#context;
    const createdAt = now();
    const row = {
      tenant,
      id: checkId("id", bundle.id),
      anomaly_id: bundle.anomalyId === undefined ? null : checkId("anomalyId", bundle.anomalyId),
      author: checkAuthor(bundle.author),
      created_at: BigInt(createdAt),
      size: BigInt(bundle.size),
      sha256: checkText("sha256", bundle.sha256, { min: 64, max: 64 }),
      location: checkText("location", bundle.location, { min: 1, max: 1_024 }),
    };
    await changeAudited(this.#context, async (trx, append) => {
      if (row.anomaly_id !== null) await hold(trx, tenant, row.anomaly_id);
      await trx.insertInto("evidence_bundles").values(row).execute();
      const detail = { anomaly: row.anomaly_id, sha256: row.sha256 };
      const input = { actor: row.author, action: "evidence.created", target: row.id, detail };
      await append(tenant, input, createdAt);
    });
    return toBundle(row);
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

  /** Lists bundles, newest first. */
  async list(tenant: string, page: PageRequest = {}): Promise<Page<StoredBundle>> {
    checkTenant(tenant);
    const query = this.#context.database.read
      .selectFrom("evidence_bundles")
      .selectAll()
      .where("tenant", "=", tenant);
    const { items, ...rest } = await latestFirst(query, "created_at", page);
    return { items: items.map(toBundle), ...rest };
  }
}
