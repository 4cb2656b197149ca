/** Listens to a channel of a PostgreSQL server on a connection of its own, which is opened again whenever it breaks. */

import pg from "pg";
import type { Logger } from "pino";
import { reasonOf } from "./errors.ts";
import { postgresPlace } from "./postgres.ts";

const connectMs = 3_000;
/** How often the connection is checked, and how long an answer may take. */
const checkMs = 5_000;
const retryMs = 500;
const maxRetryMs = 5_000;

export class Listener {
  readonly #url: string;
  readonly #channel: string;
  readonly #log: Logger;
  readonly #hooks: { onPayload(payload: string): void; onMissed(since: number): void };
  #client: pg.Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the connection was last known to work; the time of the start before that. */
  #soundAt = Date.now();
  #retryMs = retryMs;
  #fails = false;
  #closed = false;

  constructor(
    url: string,
    channel: string,
    log: Logger,
    hooks: { onPayload(payload: string): void; onMissed(since: number): void },
  ) {
    this.#url = url;
    this.#channel = channel;
    this.#log = log;
    this.#hooks = hooks;
    void this.#connect();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#client?.end().catch(() => {});
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#url,
      application_name: "driftlock-listener",
      connectionTimeoutMillis: connectMs,
      query_timeout: checkMs,
      keepAlive: true,
    });
    this.#client = client;
    const lost = (error: Error) => this.#lost(client, error);
    client.on("error", lost);
    client.on("end", () => lost(new Error("the connection was closed")));
    client.on("notification", ({ payload = "" }) => this.#hooks.onPayload(payload));
    const since = this.#soundAt;
    try {
      await client.connect();
      await client.query(`listen ${client.escapeIdentifier(this.#channel)}`);
    } catch (error) {
      lost(error as Error);
      return;
    }
    if (this.#client !== client) return;
    if (this.#fails) this.#log.info("store: changes by other processes are heard again");
    this.#fails = false;
    this.#retryMs = retryMs;
    this.#soundAt = Date.now();
    this.#hooks.onMissed(since);
    this.#check(client);
  }

  /** A server that froze, or a network that drops packets, breaks no connection. */
  #check(client: pg.Client): void {
    this.#timer = setTimeout(async () => {
      const at = Date.now();
      try {
        await client.query("select 1");
      } catch (error) {
        this.#lost(client, error as Error);
        return;
      }
      if (this.#client !== client) return;
      this.#soundAt = at;
      this.#check(client);
    }, checkMs).unref();
  }

  #lost(client: pg.Client, error: Error): void {
    if (this.#client !== client || this.#closed) return;
    this.#client = undefined;
    clearTimeout(this.#timer);
    void client.end().catch(() => {});
    if (!this.#fails) {
      const place = postgresPlace(this.#url);
      this.#log.warn(
        { place, reason: reasonOf(error) },
        "store: changes by other processes are not heard now",
      );
    }
    this.#fails = true;
    this.#timer = setTimeout(() => void this.#connect(), this.#retryMs).unref();
    this.#retryMs = Math.min(2 * this.#retryMs, maxRetryMs);
  }
}
