/**
 * Decides whether the time of day is certain enough to delete what is old: a wrong clock that is trusted once would
 * delete everything for good. A time is confirmed if it is within a day of the last confirmed time, if the machine's
 * clock has run evenly for hours, or if there is neither a confirmed time nor an anomaly yet. The database holds the
 * last confirmed time, because the clock may also be wrong when the process starts.
 */
import type { Context } from "./context.ts";

const plausibleMs = 86_400_000;
const certainAfterMs = 6 * 3_600_000;

/** Returns the current time; undefined while it is not confirmed. */
export async function confirmedTime({ database, clock }: Context): Promise<number | undefined> {
  const evenFor = clock.evenFor();
  if (evenFor === undefined) return undefined;
  const now = clock.now();
  const row = await database.read.selectFrom("clock").select("confirmed_at").executeTakeFirst();
  const isPlausible =
    row === undefined
      ? (await database.read.selectFrom("anomalies").select("id").limit(1).execute()).length === 0
      : Math.abs(now - Number(row.confirmed_at)) <= plausibleMs;
  if (!isPlausible && evenFor < certainAfterMs) return undefined;
  await database.write
    .insertInto("clock")
    .values({ id: 1, confirmed_at: now })
    .onConflict((conflict) => conflict.column("id").doUpdateSet({ confirmed_at: now }))
    .execute();
  return now;
}
