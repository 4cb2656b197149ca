import type { DatabaseSync as Database, SQLInputValue, StatementSync } from "node:sqlite";
import { DatabaseSync } from "../../../base/sqlite.ts";

export interface Opening {
  file: string;
  readOnly: boolean;
}

export interface Query {
  sql: string;
  parameters: readonly unknown[];
  /** Whether the answer contains the number of changed rows. */
  counts: boolean;
}

export interface Answer {
  rows: unknown[];
  changes?: bigint;
}

export class SqliteError extends Error {
  override readonly name = "SqliteError";
  /** SQLite's extended result code; undefined if the error occurred outside of SQLite. */
  readonly errcode: number | undefined;

  constructor(message: string, errcode?: number) {
    super(message);
    this.errcode = errcode;
  }
}

/** How long a statement waits for another connection to finish its transaction. */
const busyMs = 10_000;
/** Maximum number of prepared statements. */
const maxPrepared = 128;
/** SQLITE_MISMATCH: used for values that node:sqlite rejects before they reach SQLite. */
const mismatch = 20;

/** A connection that opens with its first query and blocks its thread while a query runs. */
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
    // Nanoseconds since 1970 exceed the safe integers.
    statement.setReadBigInts(true);
    return statement;
  }
}

function setUp(db: Database, readOnly: boolean): void {
  db.exec(`pragma busy_timeout = ${busyMs}; pragma foreign_keys = on; pragma trusted_schema = off`);
  if (readOnly) return;
  // These two take effect only before there is a table. In pages of 4 KiB, reports of about 3 KB would waste a quarter.
  db.exec(`pragma page_size = ${16 * 2 ** 10}; pragma auto_vacuum = incremental`);
  // With FULL, committed transactions survive a power failure.
  db.exec(
    `pragma journal_mode = wal; pragma synchronous = full; pragma journal_size_limit = ${64 * 2 ** 20}`,
  );
  // A batch fits into the cache, and the statement journal is kept in memory, so that neither is written to a file.
  db.exec("pragma cache_size = -16384; pragma temp_store = memory");
}
