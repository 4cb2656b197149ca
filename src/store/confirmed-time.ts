/**
 * Whether the time of day is certain enough to delete what is old. A wrong clock that is believed once deletes everything for
 * good, so that a time counts as confirmed only when it follows the one that was confirmed last within a day, or when the
 * machine's clock has kept to it for hours; or at first, while there is no anomaly yet. The database holds the last confirmed time, because the clock may also be wrong
 * when the process starts.
 */
import type { Context } from "./context.ts";

const plausibleMs = 86_400_000;
const certainAfterMs = 6 * 3_600_000;

/** The time now; undefined while it is not confirmed. */
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
