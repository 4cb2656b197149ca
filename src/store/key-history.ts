/** What the audit log says of a tenant's API keys, to be compared with their table. */
import type { Kysely } from "kysely";
import type { AuditEntry, AuditInput } from "./audit-chain.ts";
import { type Json, sha256 } from "./canonical.ts";
import type { Tables } from "./database/tables.ts";

/** A row of `api_keys`, without what changes as the key is used. */
export interface KeyRow {
  id: string;
  name: string;
  hash: string;
  scopes: string;
  created_by: string;
  created_at: bigint;
  expires_at: bigint | null;
  revoked_at: bigint | null;
}

/** What an entry can say of a key. A member is undefined where the log does not say it. */
type Told = Readonly<Record<(typeof compared)[number], Json | undefined>>;
const compared = [
  "name",
  "scopes",
  "created_by",
  "created_at",
  "expires_at",
  "revoked_at",
  "fingerprint",
] as const;

/** Binds an entry to the key's hash, which the log does not show. */
export function keyFingerprint(hash: string): string {
  return sha256(`driftlock key ${hash}`);
}

export async function readKeyRows(db: Kysely<Tables>, tenant: string): Promise<KeyRow[]> {
  return db
    .selectFrom("api_keys")
    .select(["id", "name", "hash", "scopes", "created_by", "created_at", "expires_at", "revoked_at"])
    .where("tenant", "=", tenant)
    .orderBy("created_at")
    .orderBy("id")
    .execute();
}

function toldOf(row: KeyRow): Told {
  const ms = (time: bigint | null) => (time === null ? null : Number(time));
  return {
    name: row.name,
    scopes: row.scopes.split(" "),
    created_by: row.created_by,
    created_at: ms(row.created_at),
    expires_at: ms(row.expires_at),
    revoked_at: ms(row.revoked_at),
    fingerprint: keyFingerprint(row.hash),
  };
}

/** The entry that says all of a key, for those that were made before entries had fingerprints. */
export function recordedKey(row: KeyRow): AuditInput {
  return { actor: "driftlock", action: "key.recorded", target: row.id, detail: toldOf(row) as never };
}

export class KeyHistory {
  readonly #keys = new Map<string, Told>();

  get size(): number {
    return this.#keys.size;
  }

  /** Takes the next entry. @returns why it cannot follow those before it. */
  apply({ action, target, actor, time, detail }: AuditEntry): string | undefined {
    const known = this.#keys.get(target);
    switch (action) {
      case "key.created": {
        const { name, scopes, expires_at, fingerprint } = detail;
        const created = { created_by: actor, created_at: Date.parse(time) };
        this.#keys.set(target, { name, scopes, expires_at, fingerprint, ...created, revoked_at: null });
        return undefined;
      }
      case "key.recorded": {
        const recorded = detail as unknown as Told;
        this.#keys.set(target, recorded);
        return known && difference(target, recorded, known);
      }
      case "key.rotated":
        if (known) this.#keys.set(target, { ...known, expires_at: detail.expires_at });
        return undefined;
      case "key.revoked":
        if (known) this.#keys.set(target, { ...known, revoked_at: Date.parse(time) });
        return undefined;
      default:
        return undefined;
    }
  }

  /** Why the table does not agree with the log; undefined where it does. */
  disagreement(rows: readonly KeyRow[]): string | undefined {
    const missing = new Set(this.#keys.keys());
    for (const row of rows) {
      const known = this.#keys.get(row.id);
      if (known === undefined) {
        return `the API key ${row.id} (${row.name}) was put into the table api_keys: the log does not have it`;
      }
      missing.delete(row.id);
      const reason = difference(row.id, toldOf(row), known);
      if (reason !== undefined) return reason;
    }
    const [id] = missing;
    if (id === undefined) return undefined;
    return `the API key ${id} (${this.#keys.get(id)!.name}) was removed from the table api_keys`;
  }
}

function difference(id: string, found: Told, known: Told): string | undefined {
  for (const member of compared) {
    const [has, logged] = [found[member], known[member]];
    if (logged === undefined || JSON.stringify(has) === JSON.stringify(logged)) continue;
    if (member === "fingerprint") return `the hash of the API key ${id} was changed in the table api_keys`;
    return `the API key ${id} was changed in the table api_keys: ${member} is ${JSON.stringify(has)}, and ${JSON.stringify(logged)} in the log`;
  }
  return undefined;
}
