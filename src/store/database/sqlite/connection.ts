import type { DatabaseSync as Database, SQLInputValue, StatementSync } from "node:sqlite";
import { DatabaseSync } from "../../../base/sqlite.ts";

export interface Opening {
  file: string;
  readOnly: boolean;
}

export interface Query {
  sql: string;
  parameters: readonly unknown[];
  /** Whether to say how many rows were changed. */
  counts: boolean;
}

export interface Answer {
  rows: unknown[];
  changes?: bigint;
}

export class SqliteError extends Error {
  override readonly name = "SqliteError";
  /** SQLite's extended result code; undefined where SQLite was not reached. */
  readonly errcode: number | undefined;

  constructor(message: string, errcode?: number) {
    super(message);
    this.errcode = errcode;
  }
}

/** So long for another connection to finish its transaction. */
const busyMs = 10_000;
/** Statements kept prepared. */
const maxPrepared = 128;
/** SQLITE_MISMATCH: what SQLite did not refuse, its binding did, as no value of a column. */
const mismatch = 20;

/** One connection; it opens with its first query, and blocks its thread while it works. */
export class SqliteConnection {
  readonly #opening: Opening;
  readonly #prepared = new Map<string, StatementSync>();
  #db: Database | undefined;

  constructor(opening: Opening) {
    this.#opening = opening;
  }

  /** @throws {SqliteError} */
  run({ sql, parameters, counts }: Query): Answer {
    try {
      const rows = this.#statement(sql).all(...(parameters as SQLInputValue[]));
      if (!counts) return { rows };
      return { rows, changes: (this.#statement("select changes() as n").get() as { n: bigint }).n };
    } catch (error) {
      const { message, errcode } = error as Error & { errcode?: number };
      throw new SqliteError(message, errcode ?? mismatch);
    }
  }

  close(): void {
    this.#prepared.clear();
    this.#db?.close();
    this.#db = undefined;
  }

  #open(): Database {
    const { file, readOnly } = this.#opening;
    const db = new DatabaseSync(file, { readOnly });
    try {
      setUp(db, readOnly);
    } catch (error) {
      db.close();
      throw error;
    }
    return db;
  }

  #statement(sql: string): StatementSync {
    const known = this.#prepared.get(sql);
    if (known !== undefined) this.#prepared.delete(sql);
    const statement = known ?? this.#prepare(sql);
    this.#prepared.set(sql, statement);
    if (this.#prepared.size > maxPrepared) this.#prepared.delete(this.#prepared.keys().next().value!);
    return statement;
  }

  #prepare(sql: string): StatementSync {
    this.#db ??= this.#open();
    const statement = this.#db.prepare(sql);
    // Nanoseconds since 1970 are beyond the safe integers.
    statement.setReadBigInts(true);
    return statement;
  }
}

function setUp(db: Database, readOnly: boolean): void {
  db.exec(`pragma busy_timeout = ${busyMs}; pragma foreign_keys = on; pragma trusted_schema = off`);
  if (readOnly) return;
  // These two only matter before there is a table. A report has some 3 KB: of 4 KiB, a page would leave a quarter empty.
  db.exec(`pragma page_size = ${16 * 2 ** 10}; pragma auto_vacuum = incremental`);
  // FULL: what was committed survives a loss of power.
  db.exec(
    `pragma journal_mode = wal; pragma synchronous = full; pragma journal_size_limit = ${64 * 2 ** 20}`,
  );
  // A batch fits into the cache, and what a statement would have to undo is kept in memory: neither goes through a file.
  db.exec("pragma cache_size = -16384; pragma temp_store = memory");
}
