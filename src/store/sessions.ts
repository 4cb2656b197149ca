/**
 * Sessions of browsers: each stands for an API key, or for a person who has logged in elsewhere, for some hours, so that no page
 * has to keep a credential. The secret is in a cookie, and stored as a hash. The session of a key ends with it.
 */
import { randomBytes } from "node:crypto";
import { sha256 } from "../base/sha256.ts";
import { checkTenant } from "./arguments.ts";
import type { Context } from "./context.ts";
import type { Keys, Scope } from "./keys.ts";
import { ReadCache } from "./read-cache.ts";

/** Who a session stands for. */
export interface Holder {
  tenant: string;
  /** The holder's name in the audit log. */
  subject: string;
  scopes: readonly Scope[];
  /** The key that the session stands for; undefined if it stands for a person. */
  keyId?: string;
}

export interface Session extends Holder {
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
/** The largest number of sessions of a key or a person. Beyond it, the oldest ones end. */
const maxPerHolder = 100;

interface Known {
  tenant: string;
  keyId: string;
  subject: string | null;
  scopes: string | null;
  expiresAt: number;
}

export class Sessions {
  readonly #context: Context;
  readonly #keys: Keys;
  readonly #known: ReadCache<Known>;
  /** Called with the hash of the secret of a session that has ended here. It returns quickly and never throws. */
  onEnd: (hash: string) => void = () => {};

  constructor(context: Context, keys: Keys) {
    this.#context = context;
    this.#keys = keys;
    this.#known = new ReadCache(context.elapsed, async (hash) => {
      const row = await context.database.read
        .selectFrom("sessions")
        .select(["tenant", "key_id", "subject", "scopes", "expires_at"])
        .where("hash", "=", hash)
        .executeTakeFirst();
      if (row === undefined) return undefined;
      const { key_id, expires_at, ...rest } = row;
      return { ...rest, keyId: key_id, expiresAt: Number(expires_at) };
    });
  }

  /** Starts a session, which ends after 12 hours or at `endsAt`, in milliseconds since 1970, if that is earlier. */
  async create({ tenant, keyId, subject, scopes }: Holder, endsAt: number | undefined): Promise<MadeSession> {
    checkTenant(tenant);
    const { database, clock } = this.#context;
    const now = clock.now();
    const secret = `dls_${randomBytes(32).toString("base64url")}`;
    const expiresAt = Math.min(now + longestMs, endsAt ?? Number.POSITIVE_INFINITY);
    // What a key may do is known by the key.
    const holder =
      keyId === undefined
        ? { tenant, key_id: "", subject, scopes: scopes.join(" ") }
        : { tenant, key_id: keyId, subject: null, scopes: null };
    await database.write.transaction().execute(async (trx) => {
      await trx
        .insertInto("sessions")
        .values({
          hash: sha256(secret),
          ...holder,
          created_at: BigInt(now),
          expires_at: BigInt(expiresAt),
        })
        .execute();
      await trx.deleteFrom("sessions").where("expires_at", "<=", BigInt(now)).execute();
      const same = trx
        .selectFrom("sessions")
        .select("hash")
        .where("tenant", "=", tenant)
        .where("key_id", "=", holder.key_id);
      const oldest = (holder.subject === null ? same : same.where("subject", "=", holder.subject))
        .orderBy("created_at", "desc")
        .orderBy("hash")
        .limit(1_000)
        .offset(maxPerHolder);
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
    const { tenant, keyId, subject, expiresAt } = known;
    if (subject !== null) {
      return { tenant, subject, scopes: (known.scopes ?? "").split(" ") as Scope[], expiresAt };
    }
    const key = await this.#keys.identify(keyId);
    return key && { tenant, subject: key.prefix, scopes: key.scopes, keyId, expiresAt };
  }

  /** Ends a session. Other processes accept it until they hear of that, and for ten seconds at most. */
  async end(secret: string): Promise<void> {
    const hash = sha256(secret);
    await this.#context.database.write.deleteFrom("sessions").where("hash", "=", hash).execute();
    this.#known.forget(hash);
    this.onEnd(hash);
  }

  /** Lets the next request read a session again, by the hash of its secret. */
  forget(hash: string): void {
    this.#known.forget(hash);
  }
}
