/** API keys: `dlk_`, the id's 16 hex digits, `_`, 256 random bits. Shown once, stored as a hash. */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { sql, type Transaction } from "kysely";
import { sha256, sha256Bytes } from "../base/sha256.ts";
import { checkAuthor, checkId, checkTenant, checkText } from "./arguments.ts";
import { type Append, changeAudited } from "./audit.ts";
import type { Context } from "./context.ts";
import { InvalidArgument } from "./database/errors.ts";
import type { Tables } from "./database/tables.ts";
import { keyFingerprint } from "./key-history.ts";
import { latestFirst, type Page, type PageRequest } from "./page.ts";
import { ReadCache } from "./read-cache.ts";

export const scopes = ["ingest", "read", "admin"] as const;
export type Scope = (typeof scopes)[number];

export interface ApiKey {
  id: string;
  /** The beginning of the key, which identifies it to people. */
  prefix: string;
  tenant: string;
  name: string;
  scopes: Scope[];
  createdBy: string;
  /** The time in milliseconds since 1970, like all times here. */
  createdAt: number;
  expiresAt?: number;
  revokedAt?: number;
  /** Accurate to about a minute. */
  lastUsedAt?: number;
}

export interface NewKey {
  name: string;
  scopes: readonly Scope[];
  expiresAt?: number;
}

/** A new key with its secret, which is not stored anywhere. */
export interface MadeKey {
  secret: string;
  key: ApiKey;
}

/** The tenant and the scopes of a valid key. */
export interface Identity {
  id: string;
  prefix: string;
  tenant: string;
  name: string;
  scopes: Scope[];
  expiresAt?: number;
}

interface Known {
  key: ApiKey;
  hash: string;
}

const usedMs = 60_000;
/** The number of keys per statement. */
const storedAtOnce = 500;
const maxName = 128;

const columns = [
  "id",
  "tenant",
  "name",
  "scopes",
  "created_by",
  "created_at",
  "expires_at",
  "revoked_at",
  "last_used_at",
] as const;

interface Row {
  id: string;
  tenant: string;
  name: string;
  scopes: string;
  created_by: string;
  created_at: bigint;
  expires_at: bigint | null;
  revoked_at: bigint | null;
  last_used_at: bigint | null;
}

function prefixOf(id: string): string {
  return `dlk_${id}`;
}

function toKey(row: Row): ApiKey {
  return {
    id: row.id,
    prefix: prefixOf(row.id),
    tenant: row.tenant,
    name: row.name,
    scopes: row.scopes.split(" ") as Scope[],
    createdBy: row.created_by,
    createdAt: Number(row.created_at),
    ...(row.expires_at === null ? {} : { expiresAt: Number(row.expires_at) }),
    ...(row.revoked_at === null ? {} : { revokedAt: Number(row.revoked_at) }),
    ...(row.last_used_at === null ? {} : { lastUsedAt: Number(row.last_used_at) }),
  };
}

/** @param made what the audit log records: by whom, when, and further details */
async function insert(
  trx: Transaction<Tables>,
  append: Append,
  tenant: string,
  { name, scopes: granted, expiresAt }: NewKey,
  { author, createdAt, detail }: { author: string; createdAt: number; detail: { replaces?: string } },
): Promise<MadeKey> {
  const id = randomBytes(8).toString("hex");
  const secret = `${prefixOf(id)}_${randomBytes(32).toString("base64url")}`;
  const row = {
    id,
    tenant,
    name,
    scopes: granted.join(" "),
    created_by: author,
    created_at: BigInt(createdAt),
    expires_at: expiresAt === undefined ? null : BigInt(expiresAt),
    revoked_at: null,
    last_used_at: null,
  };
  const hash = sha256(secret);
  await trx
    .insertInto("api_keys")
    .values({ ...row, hash })
    .execute();
  const recorded = {
    name,
    scopes: granted,
    expires_at: expiresAt ?? null,
    fingerprint: keyFingerprint(hash),
  };
  const input = { actor: author, action: "key.created", target: id, detail: { ...recorded, ...detail } };
  await append(tenant, input, createdAt);
  return { secret, key: toKey(row) };
}

export class Keys {
  readonly #context: Context;
  readonly #known: ReadCache<Known>;
  /** When keys were last used, if this is not stored yet; and when it was last stored, on the monotonic clock. */
  readonly #used = new Map<string, number>();
  readonly #storedAt = new Map<string, number>();

  constructor(context: Context) {
    this.#context = context;
    this.#known = new ReadCache(context.elapsed, async (id) => {
      const row = await context.database.read
        .selectFrom("api_keys")
        .select([...columns, "hash"])
        .where("id", "=", id)
        .executeTakeFirst();
      return row && { key: toKey(row), hash: row.hash };
    });
  }

  /**
   * Creates a key.
   * @throws {InvalidArgument}
   */
  async create(
    tenant: string,
    { name, scopes: granted, expiresAt }: NewKey,
    author: string,
  ): Promise<MadeKey> {
    checkTenant(tenant);
    const { now } = this.#context;
    const createdAt = now();
    checkText("name", name, { min: 1, max: maxName });
    checkAuthor(author);
    const ordered = scopes.filter((scope) => granted.includes(scope));
    if (ordered.length === 0 || granted.some((scope) => !scopes.includes(scope))) {
      throw new InvalidArgument("scopes", `must be some of ${scopes.join(", ")}`);
    }
    if (expiresAt !== undefined && !(Number.isSafeInteger(expiresAt) && expiresAt > createdAt)) {
      throw new InvalidArgument("expiresAt", "must be in the future");
    }
    const input = { name, scopes: ordered, ...(expiresAt !== undefined && { expiresAt }) };
    return changeAudited(this.#context, (trx, append) =>
      insert(trx, append, tenant, input, { author, createdAt, detail: {} }),
    );
  }

  /** The time by which keys expire, in milliseconds since 1970. */
  now(): number {
    return this.#context.clock.now();
  }

  /**
   * Creates a key with the same name, scopes and lifetime. The old key expires after at most `graceMs`. Undefined if the
   * tenant has no such key.
   * @throws {InvalidArgument} if the key has expired or was revoked already.
   */
  async rotate(
    tenant: string,
    id: string,
    graceMs: number,
    author: string,
  ): Promise<(MadeKey & { replaced: ApiKey }) | undefined> {
    checkTenant(tenant);
    checkId("id", id);
    checkAuthor(author);
    if (!Number.isSafeInteger(graceMs) || graceMs < 0) {
      throw new InvalidArgument("graceMs", "must be a whole number of milliseconds, or 0");
    }
    const { now } = this.#context;
    const createdAt = now();
    const rotated = await changeAudited(this.#context, async (trx, append) => {
      // This locks the row, so that nobody revokes the key meanwhile.
      const row = await trx
        .updateTable("api_keys")
        .set({ id })
        .where("tenant", "=", tenant)
        .where("id", "=", id)
        .returning(columns)
        .executeTakeFirst();
      if (row === undefined) return undefined;
      const old = toKey(row);
      const { name, scopes: granted, createdAt: since, expiresAt, revokedAt } = old;
      if (revokedAt !== undefined || (expiresAt !== undefined && expiresAt <= createdAt)) {
        const ended = revokedAt === undefined ? "has expired" : "is revoked";
        throw new InvalidArgument("id", `the key ${ended}; create another`);
      }
      const end = Math.min(expiresAt ?? Number.POSITIVE_INFINITY, createdAt + graceMs);
      await trx.updateTable("api_keys").set({ expires_at: end }).where("id", "=", id).execute();
      const made = await insert(
        trx,
        append,
        tenant,
        {
          name,
          scopes: granted,
          ...(expiresAt !== undefined && { expiresAt: createdAt + expiresAt - since }),
        },
        { author, createdAt, detail: { replaces: id } },
      );
      const detail = { replaced_by: made.key.id, expires_at: end };
      await append(tenant, { actor: author, action: "key.rotated", target: id, detail }, createdAt);
      return { ...made, replaced: { ...old, expiresAt: end } };
    });
    if (rotated !== undefined) this.#known.forget(id);
    return rotated;
  }

  /**
   * Returns the identity of a key; undefined if it is unknown, expired or revoked. The tenant follows from the key.
   * @throws {StoreUnavailable} and similar errors while the database is unavailable, except for keys seen in the last
   * minutes.
   */
  async verify(secret: string): Promise<Identity | undefined> {
    const [, id] = /^dlk_([0-9a-f]{16})_[\w-]{43}$/.exec(secret) ?? [];
    if (id === undefined) return undefined;
    const known = await this.#known.get(id);
    if (known === undefined) return undefined;
    if (!timingSafeEqual(sha256Bytes(secret), Buffer.from(known.hash, "hex"))) return undefined;
    return this.#identityOf(known.key);
  }

  /** Returns the identity of a key by its id, for those who have proved that they know the key; undefined as above. */
  async identify(id: string): Promise<Identity | undefined> {
    const known = await this.#known.get(id);
    return known && this.#identityOf(known.key);
  }

  #identityOf({
    id,
    prefix,
    tenant,
    name,
    scopes: granted,
    expiresAt,
    revokedAt,
  }: ApiKey): Identity | undefined {
    const now = this.#context.clock.now();
    if (revokedAt !== undefined || (expiresAt !== undefined && expiresAt <= now)) return undefined;
    this.#used.set(id, now);
    return { id, prefix, tenant, name, scopes: granted, ...(expiresAt !== undefined && { expiresAt }) };
  }

  /** Revokes a key; undefined if the tenant has no such key. Revoking it again changes nothing. */
  async revoke(tenant: string, id: string, author: string): Promise<ApiKey | undefined> {
    checkTenant(tenant);
    checkId("id", id);
    checkAuthor(author);
    const { now } = this.#context;
    const revokedAt = now();
    const key = await changeAudited(this.#context, async (trx, append) => {
      const revoked = await trx
        .updateTable("api_keys")
        .set({ revoked_at: revokedAt })
        .where("tenant", "=", tenant)
        .where("id", "=", id)
        .where("revoked_at", "is", null)
        .returning(columns)
        .executeTakeFirst();
      if (revoked !== undefined) {
        await append(tenant, { actor: author, action: "key.revoked", target: id }, revokedAt);
        return toKey(revoked);
      }
      const row = await trx
        .selectFrom("api_keys")
        .select(columns)
        .where("tenant", "=", tenant)
        .where("id", "=", id)
        .executeTakeFirst();
      return row && toKey(row);
    });
    if (key !== undefined) this.#known.forget(id);
    return key;
  }

  /** Lists keys, newest first, including revoked and expired ones. */
  async list(tenant: string, page: PageRequest = {}): Promise<Page<ApiKey>> {
    checkTenant(tenant);
    const query = this.#context.database.read
      .selectFrom("api_keys")
      .select(columns)
      .where("tenant", "=", tenant);
    const { items, ...rest } = await latestFirst(query, "created_at", page);
    return { items: items.map(toKey), ...rest };
  }

  /** Stores when keys were last used, once per minute for each key. */
  async flush(): Promise<void> {
    const now = this.#context.elapsed();
    const isDue = (id: string) => now - (this.#storedAt.get(id) ?? Number.NEGATIVE_INFINITY) >= usedMs;
    const due = [...this.#used].filter(([id]) => isDue(id));
    for (let at = 0; at < due.length; at += storedAtOnce) {
      const some = due.slice(at, at + storedAtOnce);
      const uses = sql.join(some.map(([id, used]) => sql`(${id}, cast(${used} as bigint))`));
      await sql`
        update api_keys set last_used_at = used.column2
        from (values ${uses}) as used where api_keys.id = used.column1`.execute(this.#context.database.write);
      for (const [id, used] of some) {
        // The key may have been used again meanwhile.
        if (this.#used.get(id) === used) this.#used.delete(id);
        this.#storedAt.set(id, now);
      }
    }
    for (const [id, at] of this.#storedAt) {
      if (now - at >= usedMs) this.#storedAt.delete(id);
    }
  }
}
