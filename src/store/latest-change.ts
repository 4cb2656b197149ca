import { sql } from "kysely";
import type { Context } from "./context.ts";
import { isUnavailable } from "./database/errors.ts";

/** Returns when a row of any tenant last changed, in milliseconds since 1970; 0 if that is not known. */
export async function latestChange({ database }: Context, table: "anomalies" | "incidents"): Promise<number> {
  try {
    const { rows } = await sql<{ latest: bigint | null }>`
      select max((select max(o.changed_at) from ${sql.table(table)} o where o.tenant = t.id)) as latest
      from tenants t`.execute(database.read);
    return Number(rows[0]?.latest ?? 0n);
  } catch (error) {
    if (isUnavailable(error)) return 0;
    throw error;
  }
}
