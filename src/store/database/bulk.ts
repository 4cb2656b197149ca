import { type Compilable, CompiledQuery, type DialectAdapter, type Insertable, type Kysely } from "kysely";
import type { Tables } from "./tables.ts";

/** The numbers of rows per statement, largest first. Any number of rows needs only these four prepared statements. */
const sizes = [64, 16, 4, 1] as const;

/** Inserts many rows with few statements. Building a statement costs more than running it, so each is built once. */
export class BulkInsert<T extends keyof Tables & string> {
  readonly #columns: readonly (keyof Insertable<Tables[T]> & string)[];
  readonly #build: (db: Kysely<Tables>, rows: Insertable<Tables[T]>[]) => Compilable;
  /** The SQL texts by number of rows, for each dialect in use. */
  readonly #texts = new WeakMap<DialectAdapter, Map<number, string>>();

  /** @param build returns the statement that inserts the rows; its parameters must be exactly their values. */
  constructor(
    columns: readonly (keyof Insertable<Tables[T]> & string)[],
    build: (db: Kysely<Tables>, rows: Insertable<Tables[T]>[]) => Compilable,
  ) {
    this.#columns = columns;
    this.#build = build;
  }

  async run(db: Kysely<Tables>, rows: readonly Insertable<Tables[T]>[]): Promise<void> {
    let at = 0;
    for (const size of sizes) {
      for (; rows.length - at >= size; at += size) {
        const parameters = rows
          .slice(at, at + size)
          .flatMap((row) => this.#columns.map((column) => row[column]));
        await db.executeQuery(CompiledQuery.raw(this.#text(db, size), parameters));
      }
    }
  }

  #text(db: Kysely<Tables>, size: number): string {
    const { adapter } = db.getExecutor();
    const texts = this.#texts.get(adapter) ?? new Map<number, string>();
    this.#texts.set(adapter, texts);
    const known = texts.get(size);
    if (known !== undefined) return known;
    const row = Object.fromEntries(this.#columns.map((column) => [column, 0]));
    const rows = Array.from({ length: size }, () => row) as unknown as Insertable<Tables[T]>[];
    const { sql, parameters } = this.#build(db, rows).compile();
    if (parameters.length !== size * this.#columns.length)
      throw new Error("the statement has parameters other than the values of the rows");
    texts.set(size, sql);
    return sql;
  }
}
