/** Rows that wait in memory to be written together. */
import type { Insertable, Kysely } from "kysely";
import { ensureTenants } from "./audit-chain.ts";
import type { Context } from "./context.ts";
import type { BulkInsert } from "./database/bulk.ts";
import type { Tables } from "./database/tables.ts";

/** Rows of a table, by their keys. */
export class WaitingRows<
  T extends "notable" | "usage" | "llm_calls",
  Row extends Insertable<Tables[T]> & { tenant: string },
> {
  readonly #context: Context;
  readonly #insert: BulkInsert<T>;
  readonly #keep: (rows: Map<string, Row>, row: Row) => void;
  #rows = new Map<string, Row>();
  #flushed: Promise<void> = Promise.resolve();

  /** @param keep adds a row to those that wait, or to the one that waits under its key, within the room that there is. */
  constructor(context: Context, insert: BulkInsert<T>, keep: (rows: Map<string, Row>, row: Row) => void) {
    this.#context = context;
    this.#insert = insert;
    this.#keep = keep;
  }

  add(row: Row): void {
    this.#keep(this.#rows, row);
  }

  /**
   * Writes the rows that wait, all or none of them, after those that are being written: whoever reads afterwards finds both. Rows
   * that cannot be written wait on.
   */
  flush(): Promise<void> {
    const write = () => this.#write();
    this.#flushed = this.#flushed.then(write, write);
    return this.#flushed;
  }

  async #write(): Promise<void> {
    if (this.#rows.size === 0) return;
    const taken = this.#rows;
    this.#rows = new Map();
    const { database, clock } = this.#context;
    try {
      await database.write.transaction().execute(async (trx) => {
        // In the order of their keys, so that processes do not block one another.
        const rows = [...taken].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
        await ensureTenants(trx, new Set(rows.map(({ tenant }) => tenant)), clock.now());
        await this.#insert.run(trx as Kysely<Tables>, rows);
      });
    } catch (error) {
      const later = this.#rows;
      this.#rows = taken;
      for (const row of later.values()) this.add(row);
      throw error;
    }
  }
}
