/**
 * Notices what was deleted by hand. Each day, the audit log gets an entry with the numbers of what was stored on the day before and is
 * still kept; what the retention deletes afterwards has entries as well. So it is known how much of each day must be there. What was
 * deleted before its day was counted, replaced by something else, or altered is not noticed by this.
 */
import { type Kysely, sql } from "kysely";
import { dayMs } from "../base/day.ts";
import type { AuditEntry } from "./audit-chain.ts";
import type { Tables } from "./database/tables.ts";
import { dayOf } from "./usage.ts";

/** What is counted: the tables, by the names of entries. */
export const countedKinds = ["anomalies", "incidents", "llm_calls"] as const;
export type CountedKind = (typeof countedKinds)[number];

/** What is missing although no entry says that it was deleted. */
export interface Missing {
  kind: CountedKind;
  /** The day on which it was stored, in UTC. */
  day: string;
  count: number;
}

export const countedAction = "retention.counted";
/** Its entries are about nothing that bundles are about. */
export const countedTarget = "kept";

/** Returns how many rows of each day are given, by their times in milliseconds since 1970. */
export function daysOf(times: readonly bigint[]): Record<string, number> {
  const days: Record<string, number> = {};
  for (const time of times) {
    const day = dayOf(Number(time));
    days[day] = (days[day] ?? 0) + 1;
  }
  return days;
}

/** What must be there, according to the entries of an audit log. */
export class KeptLedger {
  readonly #rest = new Map<string, number>();

  /** Takes the entries in their order. */
  apply({ action, detail }: Pick<AuditEntry, "action" | "detail">): void {
    if (action === countedAction) {
      for (const kind of countedKinds) {
        const key = `${kind} ${detail.day}`;
        // Another process may have counted the same day.
        if (typeof detail[kind] === "number" && !this.#rest.has(key)) this.#rest.set(key, detail[kind]);
      }
    } else if (action === "retention.deleted") {
      for (const [day, count] of Object.entries((detail.days ?? {}) as Record<string, number>)) {
        const key = `${detail.kind} ${day}`;
        const rest = this.#rest.get(key);
        // What was deleted before its day was counted is not in the count.
        if (rest !== undefined) this.#rest.set(key, rest - count);
      }
    }
  }

  /** Returns what a tenant's tables lack. */
  async missing(db: Kysely<Tables>, tenant: string): Promise<Missing[]> {
    const missing: Missing[] = [];
    if (this.#rest.size === 0) return missing;
    const oldest = Math.min(...[...this.#rest.keys()].map((key) => Date.parse(key.split(" ")[1]!)));
    for (const kind of countedKinds) {
      const kept = await countByDay(db, kind, tenant, oldest);
      for (const [key, rest] of this.#rest) {
        const [of, day] = key.split(" ") as [string, string];
        const count = rest - (kept.get(day) ?? 0);
        if (of === kind && count > 0) missing.push({ kind, day, count });
      }
    }
    return missing;
  }
}

/** Returns how much of each day is kept. @param since the first moment that counts, in milliseconds since 1970 */
export async function countByDay(
  db: Kysely<Tables>,
  kind: CountedKind,
  tenant: string,
  since: number,
): Promise<Map<string, number>> {
  const { rows } = await sql<{ day: bigint; n: bigint }>`
    select recorded_at / ${sql.lit(dayMs)} as day, count(*) as n from ${sql.table(kind)}
    where tenant = ${tenant} and recorded_at >= ${BigInt(since)} group by 1`.execute(db);
  return new Map(rows.map(({ day, n }) => [dayOf(Number(day) * dayMs), Number(n)]));
}
