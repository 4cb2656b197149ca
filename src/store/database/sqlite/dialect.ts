/** A dialect of kysely for node:sqlite. */
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
import { Thread } from "../../../base/thread.ts";
import { type Answer, type Opening, type Query, SqliteConnection, SqliteError } from "./connection.ts";

/** A connection on this thread or on its own. */
interface Runner {
  run(query: Query): Promise<Answer>;
  close(): Promise<void>;
}

function inThread(opening: Opening): Runner {
  // The name has the same ending as this file's, before and after compilation.
  const url = new URL(`./worker${import.meta.url.slice(-3)}`, import.meta.url);
  const thread = new Thread<Query, Answer, Pick<SqliteError, "errcode">>(
    url,
    opening,
    ({ message, errcode }) => new SqliteError(message, errcode),
  );
  return { run: (query) => thread.call(query), close: () => thread.close() };
}

function here(opening: Opening): Runner {
  const connection = new SqliteConnection(opening);
  return { run: async (query) => connection.run(query), close: async () => connection.close() };
}

const counted: ReadonlySet<string> = new Set(["InsertQueryNode", "UpdateQueryNode", "DeleteQueryNode"]);

class Connection implements DatabaseConnection {
  readonly #runner: Runner;

  constructor(runner: Runner) {
    this.#runner = runner;
  }

  async executeQuery<R>({ sql, parameters, query }: CompiledQuery): Promise<QueryResult<R>> {
    const counts = counted.has(query.kind);
    const { rows, changes } = await this.#runner.run({ sql, parameters, counts });
    return { rows: rows as R[], ...(changes === undefined ? {} : { numAffectedRows: changes }) };
  }

  // biome-ignore lint/correctness/useYield: nothing streams; pages are small.
  async *streamQuery<R>(): AsyncGenerator<QueryResult<R>> {
    throw new Error("streams are not supported");
  }
}

class SqliteDriver implements Driver {
  readonly #runner: Runner;
  readonly #connection: Connection;

  constructor(runner: Runner) {
    this.#runner = runner;
    this.#connection = new Connection(runner);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection;
  }

  async releaseConnection(): Promise<void> {}

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    // A deferred transaction that begins to write after reading could not wait for other writers and would fail.
    await connection.executeQuery(CompiledQuery.raw("begin immediate"));
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("commit"));
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await connection.executeQuery(CompiledQuery.raw("rollback"));
    } catch (error) {
      // After some errors, such as a full device, SQLite has already rolled back. The caller gets the original error.
      if (!(error instanceof SqliteError && error.message.includes("no transaction is active"))) throw error;
    }
  }

  async destroy(): Promise<void> {
    await this.#runner.close();
  }
}

/** Declares that schema changes are transactional in SQLite, so that the transaction of the migrations locks them. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

export interface SqliteOptions extends Opening {
  /** The thread that statements block: one of their own, or the caller's. */
  thread: "own" | "this";
}

export class SqliteDialect implements Dialect {
  readonly #options: SqliteOptions;

  constructor(options: SqliteOptions) {
    this.#options = options;
  }

  createDriver(): Driver {
    const { thread, ...opening } = this.#options;
    return new SqliteDriver(thread === "own" ? inThread(opening) : here(opening));
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
