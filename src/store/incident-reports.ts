/** What people have entered about the reports of incidents to authorities, which no monitoring knows. */
import type { Json } from "../base/canonical.ts";
import { checkAuthor, checkId, checkJson, checkTenant } from "./arguments.ts";
import { changeAudited } from "./audit.ts";
import type { Context } from "./context.ts";
import { InvalidArgument } from "./database/errors.ts";

/** All that is entered about one incident has at most so many characters of JSON. */
const maxLength = 512 * 1_024;

export interface EnteredReports {
  entered: Json;
  author: string;
  /** The time in milliseconds since 1970. */
  changedAt: number;
}

export class IncidentReports {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Returns what was entered about an incident's reports; undefined if nothing was. */
  async get(tenant: string, incident: string): Promise<EnteredReports | undefined> {
    checkTenant(tenant);
    const row = await this.#context.database.read
      .selectFrom("incident_reports")
      .select(["entered", "author", "changed_at"])
      .where("tenant", "=", tenant)
      .where("incident_id", "=", checkId("id", incident))
      .executeTakeFirst();
    return row && { entered: JSON.parse(row.entered), author: row.author, changedAt: Number(row.changed_at) };
  }

  /**
   * Changes what was entered, with an entry in the audit log. It is deleted together with the incident.
   * @param change returns what is entered from now on, and what the audit log says of it. Meanwhile nobody else changes it. If it
   * throws, nothing is changed
   * @returns what is entered now; undefined if there is no such incident
   */
  async change(
    tenant: string,
    incident: string,
    author: string,
    change: (before: Json | undefined, now: number) => { entered: Json; detail: Record<string, Json> },
  ): Promise<EnteredReports | undefined> {
    checkTenant(tenant);
    const actor = checkAuthor(author);
    const changedAt = this.#context.now();
    const key = { tenant, incident_id: checkId("id", incident) };
    return changeAudited(this.#context, async (trx, append) => {
      // This locks the incident, so that it is not deleted meanwhile.
      const held = await trx
        .updateTable("incidents")
        .set({ id: incident })
        .where("tenant", "=", tenant)
        .where("id", "=", incident)
        .returning("id")
        .executeTakeFirst();
      if (held === undefined) return undefined;
      const stored = await trx
        .selectFrom("incident_reports")
        .select("entered")
        .where("tenant", "=", tenant)
        .where("incident_id", "=", incident)
        .executeTakeFirst();
      const { entered, detail } = change(stored && (JSON.parse(stored.entered) as Json), changedAt);
      const text = checkJson("entered", entered);
      if (text.length > maxLength) {
        throw new InvalidArgument("entered", `must be at most ${maxLength} characters in all`);
      }
      const row = { entered: text, author: actor, changed_at: BigInt(changedAt) };
      await trx
        .insertInto("incident_reports")
        .values({ ...key, ...row })
        .onConflict((conflict) => conflict.columns(["tenant", "incident_id"]).doUpdateSet(row))
        .execute();
      const input = { actor, action: "incident.reports", target: incident, detail };
      await append(tenant, input, changedAt);
      return { entered: JSON.parse(text) as Json, author: actor, changedAt };
    });
  }
}
