import type { Scope } from "../store/index.ts";

/** An identified caller and its tenant, which is the only one that the call can access. */
export interface Principal {
  tenant: string;
  scopes: ReadonlySet<Scope>;
  /** The caller's name in the audit log: a key's prefix, `user:SUBJECT`, `proxy` or `anonymous`. */
  subject: string;
  /** When the caller's session ends, in milliseconds since 1970; undefined if the caller has none. */
  expiresAt?: number;
}

export const defaultTenant = "default";
export const tenantPattern = /^[A-Za-z0-9._-]{1,64}$/;

/** The scope ingest permits sending records, read permits queries, and admin permits changes and queries. */
export function permits(principal: Principal, scope: Scope): boolean {
  return principal.scopes.has(scope) || (scope === "read" && principal.scopes.has("admin"));
}
