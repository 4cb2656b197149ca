import type { Transaction } from "kysely";
import { checkId, checkTenant, checkText } from "./arguments.ts";
import { changeAudited } from "./audit.ts";
import type { Context } from "./context.ts";
import { InvalidArgument } from "./database/errors.ts";
import type { Tables } from "./database/tables.ts";
import { latestFirst, type Page, type PageRequest } from "./page.ts";

/** What is known of an evidence bundle; its bytes are elsewhere. */
export interface EvidenceBundle {
  id: string;
  /** Where it is about one. */
  anomalyId?: string;
  author: string;
  size: number;
  /** Of its bytes, hex. */
  sha256: string;
  location: string;
}

export interface StoredBundle extends EvidenceBundle {
  tenant: string;
  /** Milliseconds since 1970. */
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

/** Takes the lock of the anomaly's row, so that it is not deleted before the bundle is there. */
async function hold(trx: Transaction<Tables>, tenant: string, id: string): Promise<void> {
  const held = await trx
    .updateTable("anomalies")
    .set({ id })
    .where("tenant", "=", tenant)
    .where("id", "=", id)
    .returning("id")
    .executeTakeFirst();
  if (held === undefined) throw new InvalidArgument("anomalyId", "there is no such anomaly");
}

export class Evidence {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /**
   * Notes a bundle. The anomaly that it is about is kept for as long as the bundle is.
   * @throws {InvalidArgument} where there is no such anomaly.
   */
  async add(tenant: string, bundle: EvidenceBundle): Promise<StoredBundle> {
    checkTenant(tenant);
    const { now } = this.#context;
    const createdAt = now();
    const row = {
      tenant,
      id: checkId("id", bundle.id),
      anomaly_id: bundle.anomalyId === undefined ? null : checkId("anomalyId", bundle.anomalyId),
      author: checkText("author", bundle.author, { min: 1, max: 256 }),
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

  /** Newest first. */
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
