/** The policies that tenants have set through the API, beside those of the configuration. */

import type { Json } from "../base/canonical.ts";
import type { TenantPolicy } from "../config/schema/policy.ts";
import { checkAuthor, checkJson, checkTenant } from "./arguments.ts";
import { changeAudited } from "./audit.ts";
import { ensureTenants } from "./audit-chain.ts";
import type { Context } from "./context.ts";

export interface StoredPolicies {
  policies: TenantPolicy[];
  author: string;
  /** The time in milliseconds since 1970. */
  changedAt: number;
}

export class Policies {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Returns a tenant's policies; undefined if it has never set any. */
  async get(tenant: string): Promise<StoredPolicies | undefined> {
    checkTenant(tenant);
    const row = await this.#context.database.read
      .selectFrom("policies")
      .select(["policies", "author", "changed_at"])
      .where("tenant", "=", tenant)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    return { policies: JSON.parse(row.policies), author: row.author, changedAt: Number(row.changed_at) };
  }

  /** Replaces a tenant's policies, with an entry in the audit log. */
  async replace(tenant: string, policies: readonly TenantPolicy[], author: string): Promise<StoredPolicies> {
    checkTenant(tenant);
    const actor = checkAuthor(author);
    const changedAt = this.#context.now();
    // What is not set is left out.
    const plain: Json = JSON.parse(JSON.stringify(policies));
    const row = {
      tenant,
      policies: checkJson("policies", plain),
      author: actor,
      changed_at: BigInt(changedAt),
    };
    await changeAudited(this.#context, async (trx, append) => {
      await ensureTenants(trx, [tenant], changedAt);
      await trx
        .insertInto("policies")
        .values(row)
        .onConflict((conflict) =>
          conflict
            .column("tenant")
            .doUpdateSet({ policies: row.policies, author: row.author, changed_at: row.changed_at }),
        )
        .execute();
      const input = { actor, action: "policies.replaced", target: tenant, detail: { policies: plain } };
      await append(tenant, input, changedAt);
    });
    return { policies: JSON.parse(row.policies), author: actor, changedAt };
  }

  /** Returns the policies of all tenants, as JSON by tenant. */
  async all(): Promise<Map<string, string>> {
    const rows = await this.#context.database.read
      .selectFrom("policies")
      .select(["tenant", "policies"])
      .orderBy("tenant")
      .execute();
    return new Map(rows.map(({ tenant, policies }) => [tenant, policies]));
  }
}
