/** Silences: anomalies that match one are stored, but nobody is notified of them until it ends. */
import { randomBytes } from "node:crypto";
import type { Json } from "../base/canonical.ts";
import { maxSilenceMs, type SilenceMatch } from "../config/schema/silence.ts";
import { checkAuthor, checkId, checkJson, checkTenant, checkText } from "./arguments.ts";
import { changeAudited } from "./audit.ts";
import { ensureTenants } from "./audit-chain.ts";
import type { Context } from "./context.ts";
import { InvalidArgument } from "./database/errors.ts";
import { latestFirst, type Page, type PageRequest } from "./page.ts";

export interface NewSilence {
  match: SilenceMatch;
  /** Times in milliseconds since 1970. */
  startsAt: number;
  endsAt: number;
  reason: string;
  author: string;
}

export interface Silence extends NewSilence {
  tenant: string;
  id: string;
  createdAt: number;
}

/** `ended` silences are kept for some time, for those who wonder why they were not notified. */
export const silenceStates = ["pending", "active", "ended"] as const;
export type SilenceState = (typeof silenceStates)[number];

const maxReason = 1_024;
/** The largest number of silences of a tenant that have not ended. */
const maxSilences = 1_000;
const keptMs = 90 * 86_400_000;

interface Row {
  tenant: string;
  id: string;
  match: string;
  starts_at: bigint;
  ends_at: bigint;
  reason: string;
  author: string;
  created_at: bigint;
}

function toSilence(row: Row): Silence {
  return {
    tenant: row.tenant,
    id: row.id,
    match: JSON.parse(row.match),
    startsAt: Number(row.starts_at),
    endsAt: Number(row.ends_at),
    reason: row.reason,
    author: row.author,
    createdAt: Number(row.created_at),
  };
}

export class Silences {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** The machine's time, by which silences start and end. */
  now(): number {
    return this.#context.now();
  }

  /** Stores a silence, with an entry in the audit log. @throws {InvalidArgument} */
  async create(tenant: string, silence: NewSilence): Promise<Silence> {
    checkTenant(tenant);
    const now = this.#context.now();
    const { startsAt, endsAt } = silence;
    if (!(endsAt > now)) throw new InvalidArgument("ends_at", "must be in the future");
    if (!(endsAt > startsAt)) throw new InvalidArgument("ends_at", "must be after starts_at");
    if (endsAt - Math.max(startsAt, now) > maxSilenceMs) {
      throw new InvalidArgument("ends_at", "must be within a year; to stop judging a stream, use a policy");
    }
    const match: Json = JSON.parse(JSON.stringify(silence.match));
    const row: Row = {
      tenant,
      id: randomBytes(8).toString("hex"),
      match: checkJson("match", match),
      starts_at: BigInt(startsAt),
      ends_at: BigInt(endsAt),
      reason: checkText("reason", silence.reason, { min: 1, max: maxReason }),
      author: checkAuthor(silence.author),
      created_at: BigInt(now),
    };
    await changeAudited(this.#context, async (trx, append) => {
      await ensureTenants(trx, [tenant], now);
      // The tenant's row is locked first, so that two silences cannot both be the last that fits.
      await append(
        tenant,
        {
          actor: row.author,
          action: "silence.created",
          target: row.id,
          detail: { match, starts_at: iso(startsAt), ends_at: iso(endsAt), reason: row.reason },
        },
        now,
      );
      await trx
        .deleteFrom("silences")
        .where("tenant", "=", tenant)
        .where("ends_at", "<", BigInt(now - keptMs))
        .execute();
      const { held } = await trx
        .selectFrom("silences")
        .select((eb) => eb.fn.countAll().as("held"))
        .where("tenant", "=", tenant)
        .where("ends_at", ">", BigInt(now))
        .executeTakeFirstOrThrow();
      if (Number(held) >= maxSilences) {
        throw new InvalidArgument("match", `there are ${maxSilences} silences already; end some of them`);
      }
      await trx.insertInto("silences").values(row).execute();
    });
    return toSilence(row);
  }

  /**
   * Ends a silence now, with an entry in the audit log; one that has ended stays as it is. Undefined if there is no such
   * silence.
   */
  async end(tenant: string, id: string, author: string): Promise<Silence | undefined> {
    checkTenant(tenant);
    checkId("id", id);
    const actor = checkAuthor(author);
    await changeAudited(this.#context, async (trx, append) => {
      const now = this.#context.now();
      const at = BigInt(now);
      const changed = await trx
        .updateTable("silences")
        .set((eb) => ({
          ends_at: at,
          starts_at: eb.case().when("starts_at", ">", at).then(at).else(eb.ref("starts_at")).end(),
        }))
        .where("tenant", "=", tenant)
        .where("id", "=", id)
        .where("ends_at", ">", at)
        .returning("id")
        .executeTakeFirst();
      if (changed === undefined) return;
      await append(tenant, { actor, action: "silence.ended", target: id, detail: {} }, now);
    });
    return this.get(tenant, id);
  }

  async get(tenant: string, id: string): Promise<Silence | undefined> {
    checkTenant(tenant);
    const row = await this.#context.database.read
      .selectFrom("silences")
      .selectAll()
      .where("tenant", "=", tenant)
      .where("id", "=", checkId("id", id))
      .executeTakeFirst();
    return row && toSilence(row);
  }

  /** Lists silences, newest first. */
  async list(tenant: string, state?: SilenceState, page: PageRequest = {}): Promise<Page<Silence>> {
    checkTenant(tenant);
    const now = BigInt(this.#context.now());
    let query = this.#context.database.read.selectFrom("silences").selectAll().where("tenant", "=", tenant);
    if (state === "ended") query = query.where("ends_at", "<=", now);
    if (state === "active") query = query.where("ends_at", ">", now).where("starts_at", "<=", now);
    if (state === "pending") query = query.where("starts_at", ">", now);
    const { items, ...rest } = await latestFirst(query, "created_at", page);
    return { items: items.map(toSilence), ...rest };
  }

  /** Returns all silences of all tenants that have not ended, oldest first. */
  async open(): Promise<Silence[]> {
    const rows = await this.#context.database.read
      .selectFrom("silences")
      .selectAll()
      .where("ends_at", ">", BigInt(this.#context.now()))
      .orderBy("created_at")
      .orderBy("id")
      .execute();
    return rows.map(toSilence);
  }
}

/** Returns the state of a silence at a time. */
export function silenceState({ startsAt, endsAt }: Silence, now: number): SilenceState {
  return endsAt <= now ? "ended" : startsAt > now ? "pending" : "active";
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
