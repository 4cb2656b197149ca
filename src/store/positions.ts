/** How far the records of a log have been stored, so that what is stored and how far it goes are written together. */

import { checkTenant } from "./arguments.ts";
import { ensureTenants } from "./audit-chain.ts";
import type { Context } from "./context.ts";
import { recordStatistics } from "./streams/records.ts";
import type { StreamObservation } from "./streams/streams.ts";

/** One partition of a topic. */
export interface Place {
  topic: string;
  partition: number;
}

export interface Position {
  /** The offset of the first record that is not stored. */
  offset: bigint;
  /** What whoever stores the records must know to go on; empty if nothing. */
  state: Uint8Array;
}

/** Another process has stored records of the partition meanwhile. */
export class PositionMoved extends Error {}

export class Positions {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Returns how far a partition has been stored; undefined if none of it has been. */
  async read({ topic, partition }: Place): Promise<Position | undefined> {
    const row = await this.#context.database.read
      .selectFrom("log_positions")
      .select(["position", "state"])
      .where("topic", "=", topic)
      .where("number", "=", BigInt(partition))
      .executeTakeFirst();
    return row && { offset: row.position, state: row.state };
  }

  /**
   * Moves the position, and stores statistics with it, all or nothing.
   * @param from where the position is
   * @throws {PositionMoved} if it is somewhere else.
   */
  async advance(
    { topic, partition }: Place,
    from: bigint | undefined,
    { offset, state }: Position,
    statistics: readonly StreamObservation[] = [],
  ): Promise<void> {
    const { database, clock } = this.#context;
    const tenants = new Set(statistics.map(({ tenant }) => checkTenant(tenant)));
    await database.write.transaction().execute(async (trx) => {
      const row = { topic, number: partition, position: offset, state: Buffer.from(state) };
      const moved =
        from === undefined
          ? await trx
              .insertInto("log_positions")
              .values(row)
              .onConflict((conflict) => conflict.doNothing())
              .executeTakeFirst()
          : await trx
              .updateTable("log_positions")
              .set({ position: row.position, state: row.state })
              .where("topic", "=", topic)
              .where("number", "=", BigInt(partition))
              .where("position", "=", from)
              .executeTakeFirst();
      const count = "numUpdatedRows" in moved ? moved.numUpdatedRows : (moved.numInsertedOrUpdatedRows ?? 0n);
      if (count !== 1n) throw new PositionMoved(`${topic} ${partition}: another process stores its records`);
      if (statistics.length === 0) return;
      await ensureTenants(trx, tenants, clock.now());
      await recordStatistics(trx, statistics, clock.now());
    });
  }
}
