/**
 * The budgets of alarms that the processes of an installation share. One transaction at a time pays for anomalies, and notes which
 * ones, so that those whose reports are read again after a crash are not paid for twice.
 */
import type { Kysely, Transaction } from "kysely";
import { checkTenant } from "./arguments.ts";
import type { Context } from "./context.ts";
import type { Tables } from "./database/tables.ts";

/** A report of an anomaly. */
export interface Alarm {
  tenant: string;
  id: string;
  /** How many times rarer the anomaly is than it must be to be flagged. */
  margin: number;
  /** Whether it reports the end of the anomaly, which nobody pays for. */
  ended: boolean;
}

/**
 * Pays for anomalies from what is left of the budgets.
 * @param state what the previous call returned; empty at the beginning
 * @param ms milliseconds since 1970, which are never less than those of the previous call
 */
export type Pay = (
  state: Uint8Array,
  ms: number,
  alarms: Omit<Alarm, "ended">[],
) => { state: Uint8Array; paid: boolean[] };

/** An anomaly is stored long before this, so that it need not be noted any more that it was paid for. */
const notedMs = 86_400_000;
const atOnce = 500;

export class AlarmBudgets {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /**
   * Pays for the anomalies that have not been paid for.
   * @param installation the name of those who share the budgets
   * @returns for each alarm, whether its anomaly has been paid for, now or before.
   */
  async spend(installation: string, alarms: readonly Alarm[], pay: Pay): Promise<boolean[]> {
    const { database, clock } = this.#context;
    for (const { tenant } of alarms) checkTenant(tenant);
    const paid = await database.write.transaction().execute(async (trx) => {
      const { time, state } = await lock(trx, installation);
      const known = await paidBefore(trx, alarms);
      const due = begun(alarms).filter((alarm) => !known.has(keyOf(alarm)));
      if (due.length === 0) return known;
      const now = Math.max(clock.now(), Number(time));
      const answer = pay(state, now, due);
      const fresh = due.filter((_, i) => answer.paid[i]);
      await trx
        .updateTable("alarm_budgets")
        .set({ time: BigInt(now), state: Buffer.from(answer.state) })
        .where("installation", "=", installation)
        .execute();
      await note(trx, fresh, now);
      return new Set([...known, ...fresh.map(keyOf)]);
    });
    return alarms.map((alarm) => paid.has(keyOf(alarm)));
  }
}

type Identified = Pick<Alarm, "tenant" | "id">;

const keyOf = ({ tenant, id }: Identified) => `${tenant}\0${id}`;

/** Returns each anomaly that has not ended once, by its rarest report, in the order of their first ones. */
function begun(alarms: readonly Alarm[]): Omit<Alarm, "ended">[] {
  const found = new Map<string, Omit<Alarm, "ended">>();
  for (const { ended, ...alarm } of alarms) {
    const margin = Math.max(alarm.margin, found.get(keyOf(alarm))?.margin ?? 0);
    if (!ended) found.set(keyOf(alarm), { ...alarm, margin });
  }
  return [...found.values()];
}

/** Returns what is left, which nobody else changes until the transaction ends. */
async function lock(trx: Transaction<Tables>, installation: string) {
  await trx
    .insertInto("alarm_budgets")
    .values({ installation, time: 0n, state: Buffer.alloc(0) })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return trx
    .updateTable("alarm_budgets")
    .set({ installation })
    .where("installation", "=", installation)
    .returning(["time", "state"])
    .executeTakeFirstOrThrow();
}

/** Returns the keys of those that were paid for, or are stored already. */
async function paidBefore(db: Kysely<Tables>, alarms: readonly Alarm[]): Promise<Set<string>> {
  const found = new Set<string>();
  for (const [tenant, of] of Map.groupBy(alarms, (alarm) => alarm.tenant)) {
    const ids = [...new Set(of.map(({ id }) => id))];
    for (let at = 0; at < ids.length; at += atOnce) {
      const some = ids.slice(at, at + atOnce);
      const noted = db
        .selectFrom("paid_alarms")
        .select("anomaly_id as id")
        .where("tenant", "=", tenant)
        .where("anomaly_id", "in", some);
      const stored = db
        .selectFrom("anomalies")
        .select("id")
        .where("tenant", "=", tenant)
        .where("id", "in", some);
      for (const { id } of await noted.union(stored).execute()) found.add(keyOf({ tenant, id }));
    }
  }
  return found;
}

async function note(trx: Transaction<Tables>, paid: readonly Identified[], now: number): Promise<void> {
  const rows = paid.map(({ tenant, id }) => ({ tenant, anomaly_id: id, paid_at: now }));
  for (let at = 0; at < rows.length; at += atOnce) {
    await trx
      .insertInto("paid_alarms")
      .values(rows.slice(at, at + atOnce))
      .execute();
  }
  await trx
    .deleteFrom("paid_alarms")
    .where("paid_at", "<", BigInt(now - notedMs))
    .execute();
}
