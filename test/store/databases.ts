/** Runs the same tests against both databases. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe } from "vitest";
import { openStore, type Store, type StoreOptions } from "../../src/store/index.ts";
import { options, storeConfig } from "./fixtures.ts";
import { Postgres, skipPostgres } from "./postgres.ts";

export interface EmptyDatabase {
  /** Returns a configuration with the database's `data_dir` and `store`. */
  config(retention?: { max_age?: number; max_size?: number }): ReturnType<typeof storeConfig>;
  /** Opens a store on the database, which is closed at the end of the test file. */
  open(
    more?: Partial<StoreOptions> & { retention?: { max_age?: number; max_size?: number } },
  ): Promise<Store>;
  /** Runs a query without the store. */
  query(sql: string): Promise<Record<string, unknown>[]>;
}

export interface Databases {
  kind: "sqlite" | "postgres";
  empty(): Promise<EmptyDatabase>;
  /** The PostgreSQL server; undefined for SQLite. */
  server(): Postgres | undefined;
}

const kinds = skipPostgres ? (["sqlite"] as const) : (["sqlite", "postgres"] as const);

export function onEachDatabase(tests: (databases: Databases) => void): void {
  describe.each(kinds)("%s", (kind) => {
    const folders: string[] = [];
    const stores: Store[] = [];
    let server: Postgres | undefined;

    beforeAll(async () => {
      if (kind === "postgres") server = await Postgres.start();
    }, 300_000);
    afterAll(async () => {
      await Promise.all(stores.map((store) => store.close()));
      await server?.remove();
      for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    }, 30_000);

    tests({
      kind,
      server: () => server,
      async empty() {
        const folder = mkdtempSync(join(tmpdir(), "driftlock-store-"));
        folders.push(folder);
        const name = await server?.createDatabase();
        const url = name === undefined ? undefined : server!.url(name);
        const config: EmptyDatabase["config"] = (retention) =>
          storeConfig(folder, { ...(url ? { url } : {}), ...(retention ? { retention } : {}) });
        return {
          config,
          async open({ retention, ...more } = {}) {
            const store = await openStore(config(retention), options(more));
            stores.push(store);
            return store;
          },
          async query(sql) {
            if (name !== undefined) return server!.query(name, sql);
            const db = new DatabaseSync(join(folder, "driftlock.db"));
            try {
              return db.prepare(sql).all() as Record<string, unknown>[];
            } finally {
              db.close();
            }
          },
        };
      },
    });
  });
}

/** Opens a store on an empty database, of its own for each test. */
export async function fresh(
  databases: Databases,
  more: Parameters<EmptyDatabase["open"]>[0] = {},
): Promise<{ store: Store; database: EmptyDatabase }> {
  const database = await databases.empty();
  return { store: await database.open(more), database };
}
