/** Counts what is stored, as kept-ledger.ts says. */
import type { Transaction } from "kysely";
import { dayMs } from "../base/day.ts";
import { changeAudited } from "./audit.ts";
import { type AuditEntry, beginningOf } from "./audit-chain.ts";
import type { Context } from "./context.ts";
import type { Tables } from "./database/tables.ts";
import { type CountedKind, countByDay, countedAction, countedKinds, countedTarget } from "./kept-ledger.ts";
import { dayOf } from "./usage.ts";

/** Counts what was stored on the day before, once. */
export class KeptCounts {
  readonly #context: Context;
  /** The latest day that is counted, by tenant. */
  readonly #latest = new Map<string, string>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** @param now the time, in milliseconds since 1970 */
  async count(tenant: string, now: number): Promise<void> {
    const day = dayOf(now - dayMs);
    const latest = this.#latest.get(tenant) ?? (await this.#latestIn(tenant));
    if (latest < day) await this.#append(tenant, day, now);
    this.#latest.set(tenant, day);
  }

  async #append(tenant: string, day: string, now: number): Promise<void> {
    await changeAudited(this.#context, async (trx, append) => {
      await lock(trx, tenant);
      const counts: Partial<Record<CountedKind, number>> = {};
      for (const kind of countedKinds) {
        const count = (await countByDay(trx, kind, tenant, Date.parse(day))).get(day);
        if (count !== undefined) counts[kind] = count;
      }
      if (Object.keys(counts).length === 0) return;
      const detail = { day, ...counts };
      await append(tenant, { actor: "driftlock", action: countedAction, target: countedTarget, detail }, now);
    });
  }

  /** Returns the latest day that an entry counts; empty if there is none. */
  async #latestIn(tenant: string): Promise<string> {
    const rows = await this.#context.database.read
      .selectFrom("audit_log")
      .select("entry")
      .where("tenant", "=", tenant)
      .where("entry", "like", `${beginningOf(countedAction)}%`)
      .orderBy("seq", "desc")
      .limit(1)
      .execute();
    return rows.map(({ entry }) => String((JSON.parse(entry) as AuditEntry).detail.day ?? ""))[0] ?? "";
  }
}

/** Puts the entry in order with those of deletions, which lock the tenant's row for theirs. */
async function lock(trx: Transaction<Tables>, tenant: string): Promise<void> {
  await trx
    .updateTable("tenants")
    .set((eb) => ({ id: eb.ref("id") }))
    .where("id", "=", tenant)
    .execute();
}
