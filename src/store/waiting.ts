/** Rows that wait in memory to be written together. */
import type { Insertable, Kysely } from "kysely";
import { ensureTenants } from "./audit-chain.ts";
import type { Context } from "./context.ts";
import type { BulkInsert } from "./database/bulk.ts";
import type { Tables } from "./database/tables.ts";

/** Writes all rows, or none of them. They are written in the order of their keys, so that processes do not block one another. */
export async function writeWaiting<T extends "notable" | "usage">(
  { database, clock }: Context,
  waiting: ReadonlyMap<string, Insertable<Tables[T]> & { tenant: string }>,
  insert: BulkInsert<T>,
): Promise<void> {
  await database.write.transaction().execute(async (trx) => {
    const rows = [...waiting].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
    await ensureTenants(trx, new Set(rows.map(({ tenant }) => tenant)), clock.now());
    await insert.run(trx as Kysely<Tables>, rows);
  });
}
