/** One of the two databases, migrated. */
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
  /** What is lost when the migration is taken back, for people. */
  loses(name: string): string;
}

export interface DatabaseOptions {
  /**
   * own: SQLite works in threads of its own, one to write and one to read, and PostgreSQL has several connections.
   * this: one connection, which blocks this thread where it is SQLite's.
   */
  thread: "own" | "this";
}

/** To PostgreSQL, from the event loop's thread. */
const connections = 4;

export class Database {
  readonly kind: DatabaseKind;
  /** For people: a file, or a URL without credentials. */
  readonly place: string;
  readonly #url: string | undefined;
  readonly #write: Kysely<Tables>;
  readonly #read: Kysely<Tables>;
  #migrated = false;
  #why = "not connected yet";

  /** Nothing is connected and no file opened before the first query. */
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
      // A long search does not hold up what is to be written.
      this.#read = thread === "own" ? sqlite(true) : this.#write;
    }
  }

  /**
   * For statements that do not write.
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
   * Brings the schema up to date, one process at a time: PostgreSQL has an advisory lock, SQLite an immediate transaction.
   * @throws {StoreUnavailable} where the database cannot be reached now.
   * @throws {Error} that names the key and the remedy.
   */
  async migrate(): Promise<void> {
    if (this.#migrated) return;
    await this.#change((migrator) => migrator.migrateToLatest());
    this.#migrated = true;
  }

  /**
   * Applies or takes back migrations until the named one is the last that is applied; none is if there is no name.
   * @throws as `migrate` does.
   */
  async migrateTo(name: string | undefined): Promise<void> {
    await this.#change((migrator) => migrator.migrateTo(name ?? NO_MIGRATIONS));
  }

  /** Takes the caller's word that `migrate` has succeeded elsewhere in the process. */
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

  /** Resolves where the database answers. */
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
    // To build an index, or to wait for another process that does, may take longer than a query may.
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

/** Undefined where only time helps. */
function postgresRemedy(error: unknown): string | undefined {
  const { code = "" } = error as { code?: string };
  if (code.startsWith("28")) return "check user and password, and the server's pg_hba.conf";
  if (code === "3D000") return "create the database with createdb";
  if (code === "42501") return "grant the user CREATE on the schema";
  return undefined;
}

function sqliteRemedy(error: unknown): string {
  return isDamaged(error)
    ? "stop Driftlock and put a backup in its place, or move it away with its -wal and -shm to begin anew"
    : "check that the folder exists, may be written to, has space and is Driftlock's alone";
}

/** Anomalies quote records: the file is for its owner alone. */
function createPrivately(file: string): void {
  makeFolder(dirname(file));
  closeSync(openSync(file, "a", 0o600));
}
