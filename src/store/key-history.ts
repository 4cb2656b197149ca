/** Reconstructs a tenant's API keys from the audit log and compares them with the table of keys. */
import type { Kysely } from "kysely";
import type { Json } from "../base/canonical.ts";
import { sha256 } from "../base/sha256.ts";
import type { AuditEntry, AuditInput } from "./audit-chain.ts";
import type { Tables } from "./database/tables.ts";

/** A row of `api_keys` without the column that changes when the key is used. */
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

/** The properties of a key that the audit log records. A member is undefined if the log does not contain it. */
type KeyProperties = Readonly<Record<(typeof compared)[number], Json | undefined>>;
const compared = [
  "name",
  "scopes",
  "created_by",
  "created_at",
  "expires_at",
  "revoked_at",
  "fingerprint",
] as const;

/** Returns a fingerprint that binds an entry to the key's hash without showing the hash. */
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

function propertiesOf(row: KeyRow): KeyProperties {
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

/** Returns an entry that records a key completely, for keys that were created before entries had fingerprints. */
export function recordedKey(row: KeyRow): AuditInput {
  return { actor: "driftlock", action: "key.recorded", target: row.id, detail: propertiesOf(row) as never };
}

/** The API keys of a tenant according to its audit log. */
export class KeyHistory {
  readonly #keys = new Map<string, KeyProperties>();

  get size(): number {
    return this.#keys.size;
  }

  /**
   * Applies the next entry.
   * @returns why it cannot follow the entries before it; undefined if it can
   */
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
        const recorded = detail as unknown as KeyProperties;
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

  /** Returns why the table does not agree with the log; undefined if it does. */
  disagreement(rows: readonly KeyRow[]): string | undefined {
    const missing = new Set(this.#keys.keys());
    for (const row of rows) {
      const known = this.#keys.get(row.id);
      if (known === undefined) {
        return `the API key ${row.id} (${row.name}) is in the table api_keys but not in the log`;
      }
      missing.delete(row.id);
      const reason = difference(row.id, propertiesOf(row), known);
      if (reason !== undefined) return reason;
    }
    const [id] = missing;
    if (id === undefined) return undefined;
    return `the API key ${id} (${this.#keys.get(id)!.name}) is in the log but was removed from the table api_keys`;
  }
}

function difference(id: string, found: KeyProperties, known: KeyProperties): string | undefined {
  for (const member of compared) {
    const [has, logged] = [found[member], known[member]];
    if (logged === undefined || JSON.stringify(has) === JSON.stringify(logged)) continue;
    if (member === "fingerprint") return `the hash of the API key ${id} was changed in the table api_keys`;
    return `the API key ${id} was changed in the table api_keys: ${member} is ${JSON.stringify(has)}, and ${JSON.stringify(logged)} in the log`;
  }
  return undefined;
}
