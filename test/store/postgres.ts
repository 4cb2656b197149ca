/** A real PostgreSQL for a test file, run by scripts/postgres.sh. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { freePort } from "../free-port.ts";

const script = fileURLToPath(new URL("../../scripts/postgres.sh", import.meta.url));
const password = "for tests";

export const skipPostgres = process.env.DRIFTLOCK_SKIP_POSTGRES === "1";

export class Postgres {
  readonly #folder = mkdtempSync(join(tmpdir(), "driftlock-postgres-"));
  #port = 0;
  #child: ChildProcess | undefined;
  #databases = 0;
  readonly #clients = new Map<string, pg.Client>();

  static async start(): Promise<Postgres> {
    const postgres = new Postgres();
    postgres.#port = await freePort();
    await postgres.resume();
    return postgres;
  }

  /** Starts the server again after `stop`, with its data, on the same port. */
  async resume(): Promise<void> {
    const child = spawn(script, [this.#folder, String(this.#port)], {
      env: { ...process.env, PGPASSWORD: password },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child = child;
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-2_000);
    });
    for (;;) {
      if (child.exitCode !== null) throw new Error(`PostgreSQL did not start: ${said}`);
      try {
        await this.query("postgres", "select 1");
        return;
      } catch {
        await sleep(50);
      }
    }
  }

  /** Stops the server; with SIGQUIT it does not close its clients' connections. */
  async stop(signal: "SIGINT" | "SIGQUIT" = "SIGINT"): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    await this.#disconnect();
    child.kill(signal);
    await ended;
  }

  async remove(): Promise<void> {
    await this.stop("SIGQUIT");
    rmSync(this.#folder, { recursive: true, force: true });
  }

  url(database: string, { as = `driftlock:${encodeURIComponent(password)}` } = {}): string {
    return `postgres://${as}@127.0.0.1:${this.#port}/${database}`;
  }

  /** Creates an empty database and returns its name. */
  async createDatabase(): Promise<string> {
    this.#databases += 1;
    const name = `test_${this.#databases}`;
    await this.query("postgres", `create database ${name}`);
    return name;
  }

  /** Runs a query on a connection that stays open until the server stops. */
  async query(database: string, sql: string): Promise<Record<string, unknown>[]> {
    let client = this.#clients.get(database);
    if (client === undefined) {
      client = new pg.Client({ connectionString: this.url(database), connectionTimeoutMillis: 2_000 });
      client.on("error", () => {});
      await client.connect();
      this.#clients.set(database, client);
    }
    return (await client.query(sql)).rows;
  }

  async #disconnect(): Promise<void> {
    const clients = [...this.#clients.values()];
    this.#clients.clear();
    await Promise.allSettled(clients.map((client) => client.end()));
  }
}
