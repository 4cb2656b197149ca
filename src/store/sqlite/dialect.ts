/** kysely on node:sqlite, in a thread. */
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import { SqliteThread } from "./thread.ts";
import type { Opening } from "./worker.ts";

const counted: ReadonlySet<string> = new Set(["InsertQueryNode", "UpdateQueryNode", "DeleteQueryNode"]);

class ThreadConnection implements DatabaseConnection {
  readonly #thread: SqliteThread;

  constructor(thread: SqliteThread) {
    this.#thread = thread;
  }

  async executeQuery<R>({ sql, parameters, query }: CompiledQuery): Promise<QueryResult<R>> {
    const counts = counted.has(query.kind);
    const { rows, changes } = await this.#thread.run({ sql, parameters, counts });
    return { rows: rows as R[], ...(changes === undefined ? {} : { numAffectedRows: changes }) };
  }

  // biome-ignore lint/correctness/useYield: nothing streams; pages are small.
  async *streamQuery<R>(): AsyncGenerator<QueryResult<R>> {
    throw new Error("streams are not supported");
  }
}

class ThreadDriver implements Driver {
  readonly #thread: SqliteThread;
  readonly #connection: ThreadConnection;

  constructor(opening: Opening) {
    this.#thread = new SqliteThread(opening);
    this.#connection = new ThreadConnection(this.#thread);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection;
  }

  async releaseConnection(): Promise<void> {}

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    // Immediate: a reader that turns writer half-way could not wait its turn, and would fail.
    await connection.executeQuery(CompiledQuery.raw("begin immediate"));
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("commit"));
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("rollback"));
  }

  async destroy(): Promise<void> {
    await this.#thread.close();
  }
}

/** SQLite's schema changes are transactional, so that the transaction of the migrations is their lock. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

export class SqliteThreadDialect implements Dialect {
  readonly #opening: Opening;

  constructor(opening: Opening) {
    this.#opening = opening;
  }

  createDriver(): Driver {
    return new ThreadDriver(this.#opening);
  }

  createQueryCompiler(): SqliteQueryCompiler {
    return new SqliteQueryCompiler();
  }

  createAdapter(): SqliteAdapter {
    return new TransactionalAdapter();
  }

  createIntrospector(db: Kysely<unknown>): SqliteIntrospector {
    return new SqliteIntrospector(db);
  }
}
