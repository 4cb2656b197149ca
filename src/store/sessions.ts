/**
 * Sessions of browsers: each stands for an API key for some hours, so that no page has to keep the key. The secret is
 * in a cookie, and stored as a hash. A session ends with its key.
 */
import { randomBytes } from "node:crypto";
import { checkTenant } from "./arguments.ts";
import { sha256 } from "./canonical.ts";
import type { Context } from "./context.ts";
import type { Identity, Keys } from "./keys.ts";
import { ReadCache } from "./read-cache.ts";

export interface Session {
  identity: Identity;
  /** The time in milliseconds since 1970. */
  expiresAt: number;
}

/** A new session with its secret, which is not stored anywhere. */
export interface MadeSession {
  secret: string;
  expiresAt: number;
  lifetimeMs: number;
}

const longestMs = 12 * 3_600_000;
/** The largest number of sessions of a key. Beyond it, the oldest ones end. */
const maxPerKey = 100;

interface Known {
  keyId: string;
  expiresAt: number;
}

export class Sessions {
  readonly #context: Context;
  readonly #keys: Keys;
  readonly #known: ReadCache<Known>;

  constructor(context: Context, keys: Keys) {
    this.#context = context;
    this.#keys = keys;
    this.#known = new ReadCache(context.elapsed, async (hash) => {
      const row = await context.database.read
        .selectFrom("sessions")
        .select(["key_id", "expires_at"])
        .where("hash", "=", hash)
        .executeTakeFirst();
      return row && { keyId: row.key_id, expiresAt: Number(row.expires_at) };
    });
  }

  /** Starts a session of a key, which ends no later than the key. */
  async create({ tenant, id, expiresAt: keyEnds }: Identity): Promise<MadeSession> {
    checkTenant(tenant);
    const { database, clock } = this.#context;
    const now = clock.now();
    const secret = `dls_${randomBytes(32).toString("base64url")}`;
    const expiresAt = Math.min(now + longestMs, keyEnds ?? Number.POSITIVE_INFINITY);
    await database.write.transaction().execute(async (trx) => {
      await trx
        .insertInto("sessions")
        .values({
          hash: sha256(secret),
          tenant,
          key_id: id,
          created_at: BigInt(now),
          expires_at: BigInt(expiresAt),
        })
        .execute();
      await trx.deleteFrom("sessions").where("expires_at", "<=", BigInt(now)).execute();
      const oldest = trx
        .selectFrom("sessions")
        .select("hash")
        .where("key_id", "=", id)
        .orderBy("created_at", "desc")
        .orderBy("hash")
        .limit(1_000)
        .offset(maxPerKey);
      await trx.deleteFrom("sessions").where("hash", "in", oldest).execute();
    });
    return { secret, expiresAt, lifetimeMs: expiresAt - now };
  }

  /**
   * Returns the session of a secret; undefined if it is unknown or over, or its key is.
   * @throws {StoreUnavailable} and similar errors while the database is unavailable, except for sessions seen in the last
   * minutes.
   */
  async verify(secret: string): Promise<Session | undefined> {
    if (!/^dls_[\w-]{43}$/.test(secret)) return undefined;
    const known = await this.#known.get(sha256(secret));
    if (known === undefined || known.expiresAt <= this.#context.clock.now()) return undefined;
    const identity = await this.#keys.identify(known.keyId);
    return identity && { identity, expiresAt: known.expiresAt };
  }

  /** Ends a session. Other processes may accept it for some seconds. */
  async end(secret: string): Promise<void> {
    const hash = sha256(secret);
    await this.#context.database.write.deleteFrom("sessions").where("hash", "=", hash).execute();
    this.#known.forget(hash);
  }
}
