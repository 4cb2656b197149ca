import type { Scope } from "../store/index.ts";

/** Who is calling, and for which tenant: the only one that the call sees. */
export interface Principal {
  tenant: string;
  scopes: ReadonlySet<Scope>;
  /** As the audit log names it: a key's prefix, `user:SUBJECT`, `proxy` or `anonymous`. */
  subject: string;
}

export const defaultTenant = "default";
export const tenantPattern = /^[A-Za-z0-9._-]{1,64}$/;

/** ingest: send records. read: ask. admin: change what there is, and read. */
export function permits(principal: Principal, scope: Scope): boolean {
  return principal.scopes.has(scope) || (scope === "read" && principal.scopes.has("admin"));
}
