/** A connection to the store's database, which is SQLite or PostgreSQL, and the migrations of its schema. */
import { closeSync, openSync } from "node:fs";
import { dirname, join } from "node:path";
import { Kysely, sql } from "kysely";
import { type MigrationResultSet, Migrator, NO_MIGRATIONS } from "kysely/migration";
import { makeFolder } from "../../base/folder.ts";
import type { Config } from "../../config/schema.ts";
import { isDamaged, isRefused, isUnavailable, reasonOf, StoreUnavailable } from "./errors.ts";
import { type DatabaseKind, migrations } from "./migrations.ts";
import { connectPostgres, postgresPlace } from "./postgres.ts";
import { SqliteDialect } from "./sqlite/dialect.ts";
import type { Tables } from "./tables.ts";

export interface MigrationState {
  applied: string[];
  pending: string[];
  /** Describes what is lost if the migration is reverted. */
  loses(name: string): string;
}

export interface DatabaseOptions {
  /**
   * `own`: SQLite runs on two threads of its own, one for writing and one for reading, and PostgreSQL has several
   * connections. `this`: there is one connection, which blocks the calling thread in the case of SQLite.
   */
  thread: "own" | "this";
}

/** The number of connections to PostgreSQL from the thread of the event loop. */
const connections = 4;

export class Database {
  readonly kind: DatabaseKind;
  /** The location that messages show: a file, or a URL without credentials. */
  readonly place: string;
  readonly #url: string | undefined;
  readonly #write: Kysely<Tables>;
  readonly #read: Kysely<Tables>;
  #migrated = false;
  #why = "not connected yet";

  /** Creates the database without connecting to it; the first query connects. */
  constructor(
    { data_dir, store }: Pick<Config, "data_dir" | "store">,
    { thread }: DatabaseOptions = { thread: "own" },
  ) {
    this.#url = store.url;
    if (store.url !== undefined) {
      this.kind = "postgres";
      this.place = postgresPlace(store.url);
      this.#write = connectPostgres(store.url, {
        connections: thread === "own" ? connections : 1,
        timeouts: true,
      });
      this.#read = this.#write;
    } else {
      this.kind = "sqlite";
      this.place = join(data_dir, "driftlock.db");
      const sqlite = (readOnly: boolean) =>
        new Kysely<Tables>({ dialect: new SqliteDialect({ file: this.place, readOnly, thread }) });
      this.#write = sqlite(false);
      // Reads have a connection of their own, so that a long search does not delay writes.
      this.#read = thread === "own" ? sqlite(true) : this.#write;
    }
  }

  /**
   * Returns the database for statements that do not write.
   * @throws {StoreUnavailable} before `migrate` has succeeded.
   */
  get read(): Kysely<Tables> {
    this.check();
    return this.#read;
  }

  /** @throws {StoreUnavailable} before `migrate` has succeeded. */
  get write(): Kysely<Tables> {
    this.check();
    return this.#write;
  }

  /** @throws {StoreUnavailable} before `migrate` has succeeded. */
  check(): void {
    if (!this.#migrated) throw new StoreUnavailable(`${this.place}: ${this.#why}`);
  }

  get migrated(): boolean {
    return this.#migrated;
  }

  /**
   * Brings the schema up to date, one process at a time: PostgreSQL uses an advisory lock, and SQLite an immediate
   * transaction.
   * @throws {StoreUnavailable} if the database cannot be reached at present.
   * @throws {Error} that names the key and the remedy.
   */
  async migrate(): Promise<void> {
    if (this.#migrated) return;
    await this.#change((migrator) => migrator.migrateToLatest());
    this.#migrated = true;
  }

  /**
   * Applies or reverts migrations until the named one is the last one applied. Without a name, all are reverted.
   * @throws as `migrate` does.
   */
  async migrateTo(name: string | undefined): Promise<void> {
    await this.#change((migrator) => migrator.migrateTo(name ?? NO_MIGRATIONS));
  }

  /** Marks the database as migrated, because `migrate` has succeeded elsewhere in the process. */
  adopt(): void {
    this.#migrated = true;
  }

  /** @throws as `migrate` does. */
  async migrationState(): Promise<MigrationState> {
    try {
      return await this.#withMigrator(async (migrator) => {
        const all = await migrator.getMigrations();
        const names = (done: boolean) =>
          all.filter(({ executedAt }) => (executedAt !== undefined) === done).map(({ name }) => name);
        const known = await migrations(this.kind).getMigrations();
        const loses = (name: string) => known[name]!.loses;
        return { applied: names(true), pending: names(false), loses };
      });
    } catch (error) {
      throw this.#explained(error);
    }
  }

  /** Resolves if the database responds. */
  async ping(): Promise<void> {
    await sql`select 1`.execute(this.write);
  }

  async close(): Promise<void> {
    this.#migrated = false;
    this.#why = "closed";
    if (this.#read !== this.#write) await this.#read.destroy();
    await this.#write.destroy();
  }

  async #change(work: (migrator: Migrator) => Promise<MigrationResultSet>): Promise<void> {
    try {
      const { error } = await this.#withMigrator(work);
      if (error !== undefined) throw error;
    } catch (error) {
      throw this.#explained(error);
    }
  }

  async #withMigrator<T>(work: (migrator: Migrator) => Promise<T>): Promise<T> {
    const provider = migrations(this.kind);
    if (this.#url === undefined) {
      createPrivately(this.place);
      return work(new Migrator({ db: this.#write, provider }));
    }
    // There is no timeout: building an index, or waiting for another process that does, may take longer than a query.
    const db = connectPostgres(this.#url, { connections: 1, timeouts: false });
    try {
      return await work(new Migrator({ db, provider }));
    } finally {
      await db.destroy();
    }
  }

  #explained(cause: unknown): Error {
    const reason = reasonOf(cause);
    if (/^corrupted migrations/.test(reason)) {
      return this.#wrong(
        "a newer Driftlock has written this database; use that version or another database, or let that version go back with `driftlock db down`",
        cause,
      );
    }
    const remedy = this.kind === "postgres" ? postgresRemedy(cause) : sqliteRemedy(cause);
    if (!isUnavailable(cause) || isRefused(cause))
      return this.#wrong(`${reason}; ${remedy ?? "check the URL"}`, cause);
    this.#why = remedy === undefined ? reason : `${reason}; ${remedy}`;
    return new StoreUnavailable(`${this.place}: ${this.#why}`, { cause });
  }

  #wrong(what: string, cause: unknown): Error {
    const key = this.kind === "postgres" ? "store.url" : "data_dir";
    return new Error(`${key}: ${this.place}: ${what}`, { cause });
  }
}

/** Returns the remedy for an error of PostgreSQL; undefined if the only remedy is to wait. */
function postgresRemedy(error: unknown): string | undefined {
  const { code = "" } = error as { code?: string };
  if (code.startsWith("28")) return "check user and password, and the server's pg_hba.conf";
  if (code === "3D000") return "create the database with createdb";
  if (code === "42501") return "grant the user CREATE on the schema";
  return undefined;
}

function sqliteRemedy(error: unknown): string {
  return isDamaged(error)
    ? "stop Driftlock and restore a backup, or move the file away with its -wal and -shm files to start with an empty store"
    : "check that the folder exists, may be written to, has space and is Driftlock's alone";
}

/** Creates the file with access for its owner only, since anomalies quote records. */
function createPrivately(file: string): void {
  makeFolder(dirname(file));
  closeSync(openSync(file, "a", 0o600));
}
