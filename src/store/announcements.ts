/**
 * Tells the other processes on one PostgreSQL database what has changed in it, by LISTEN and NOTIFY. An announcement is a hint: it may be
 * lost, and whoever hears it reads the database. A store on SQLite has one process and nothing to announce.
 */
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { Logger } from "pino";
import type { Database } from "./database/database.ts";
import { Listener } from "./database/listener.ts";

const kinds = ["anomalies", "incidents", "judgements", "rules", "sessions"] as const;

/** `judgements` are decisions of people about anomalies and incidents; `rules` are policies and silences; `sessions` are those that have ended, by the hashes of their secrets. */
export type Announced = (typeof kinds)[number];

export interface Announcement {
  kind: Announced;
  /** Empty with `sessions`, which are known by their secrets alone. */
  tenant: string;
  /** The ids of what has changed; none with `rules`. */
  ids: readonly string[];
}

export interface Hearer {
  /** Called with each announcement of another process. It returns quickly and never throws. */
  heard(announcement: Announcement): void;
  /** Called when announcements may have been lost. @param since the time of the last one that cannot have been, in milliseconds since 1970 */
  missed(since: number): void;
}

const channel = "driftlock";
/** How long announcements wait for others that go with them. */
const collectMs = 20;
/** Of ids of one kind and tenant that wait, the newest. */
const maxWaiting = 2_000;
/** PostgreSQL accepts a payload of 8,000 bytes. An id has at most 64 characters, a tenant 128 characters of Unicode text. */
const idsPerPayload = 90;

export class Announcements {
  readonly #own = randomUUID();
  readonly #database: Pick<Database, "kind" | "write">;
  readonly #url: string | undefined;
  readonly #log: Logger;
  readonly #waiting = new Map<string, { kind: Announced; tenant: string; ids: Set<string> }>();
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> = Promise.resolve();
  #listener: Listener | undefined;

  /** @param url the database; undefined for SQLite */
  constructor(database: Pick<Database, "kind" | "write">, url: string | undefined, log: Logger) {
    this.#database = database;
    this.#url = url;
    this.#log = log;
  }

  /** Announces what has changed, to other processes alone. It returns quickly and never throws. */
  announce(kind: Announced, tenant: string, ids: Iterable<string> = []): void {
    if (this.#url === undefined) return;
    const key = `${kind}\0${tenant}`;
    const waiting = this.#waiting.get(key) ?? { kind, tenant, ids: new Set() };
    this.#waiting.set(key, waiting);
    for (const id of ids) waiting.ids.add(id);
    for (const id of waiting.ids) {
      if (waiting.ids.size <= maxWaiting) break;
      waiting.ids.delete(id);
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#sending = this.#sending.then(() => this.#send());
    }, collectMs).unref();
  }

  /** Hears announcements from now on, once the database can be reached. */
  listen(hearer: Hearer): void {
    if (this.#url === undefined) return;
    this.#listener = new Listener(this.#url, channel, this.#log, {
      onPayload: (payload) => this.#heard(payload, hearer),
      onMissed: (since) => hearer.missed(since),
    });
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#sending.then(() => this.#send());
    await this.#listener?.close();
  }

  async #send(): Promise<void> {
    const taken = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { kind, tenant, ids } of taken) {
      const all = [...ids];
      for (let at = 0; at === 0 || at < all.length; at += idsPerPayload) {
        const payload = { from: this.#own, kind, tenant, ids: all.slice(at, at + idsPerPayload) };
        try {
          await sql`select pg_notify(${channel}, ${JSON.stringify(payload)})`.execute(this.#database.write);
        } catch {
          // Whatever matters is found without a hint as well, and the store's health tells of the fault.
          return;
        }
      }
    }
  }

  #heard(payload: string, hearer: Hearer): void {
    let read: Announcement & { from: string };
    try {
      read = JSON.parse(payload);
    } catch {
      return;
    }
    // Another version may announce what this one does not know, and anyone with the database's password anything.
    const { from, kind, tenant, ids } = read ?? {};
    if (from === this.#own || !kinds.includes(kind) || typeof tenant !== "string" || !Array.isArray(ids))
      return;
    hearer.heard({ kind, tenant, ids: ids.filter((id) => typeof id === "string") });
  }
}
