/** Changes: new versions and the like that were seen in telemetry, or posted by a person or a pipeline. */
import { create, fromBinary } from "@bufbuild/protobuf";
import { type Change, ChangeSchema } from "../gen/driftlock/v1/incidents_pb.js";
import { serviceName } from "./anomalies/report.ts";
import { checkId, checkTenant, checkText } from "./arguments.ts";
import { ensureTenants } from "./audit-chain.ts";
import type { Context } from "./context.ts";
import { InvalidArgument } from "./database/errors.ts";
import { recordChange } from "./incidents/record.ts";
import { latestFirst, type Page, type PageRequest } from "./page.ts";

export interface NewChange {
  id: string;
  /** The time in nanoseconds since 1970. */
  time: bigint;
  /** Empty if it concerns no single service. */
  service: string;
  title: string;
  link: string;
  attribute: string;
  value: string;
  previous: string;
}

export interface ChangeFilter {
  /** The range of its time, in nanoseconds since 1970, excluding `until`. */
  from?: bigint;
  until?: bigint;
  service?: string;
}

const maxText = 1_024;
/** How far ahead of the machine's clock a change may be. */
const maxAheadMs = 86_400_000;

export class Changes {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /**
   * Stores a change. If there is one with its id, that one stays as it is, so that a pipeline may send it again.
   * @throws {InvalidArgument}
   */
  async post(tenant: string, change: NewChange): Promise<{ change: Change; isNew: boolean }> {
    checkTenant(tenant);
    const now = this.#context.now();
    if (change.time > BigInt(now + maxAheadMs) * 1_000_000n || change.time < 0n) {
      throw new InvalidArgument("time", "must be after 1970, and at most a day ahead");
    }
    const text = (field: string, value: string) => checkText(field, value, { max: maxText });
    const message = create(ChangeSchema, {
      id: checkId("id", change.id),
      tenant,
      timeUnixNano: change.time,
      serviceName: serviceName(change.service),
      attribute: text("attribute", change.attribute),
      value: text("value", change.value),
      previous: text("previous", change.previous),
      title: text("title", change.title),
      link: text("link", change.link),
    });
    const { write } = this.#context.database;
    return write.transaction().execute(async (trx) => {
      await ensureTenants(trx, [tenant], now);
      const find = trx
        .selectFrom("changes")
        .select("message")
        .where("tenant", "=", tenant)
        .where("id", "=", change.id);
      const before = await find.executeTakeFirst();
      if (before === undefined) await recordChange(trx, message, this.#context.clock.now());
      // Another process may have been faster.
      const stored = before ?? (await find.executeTakeFirstOrThrow());
      return { change: fromBinary(ChangeSchema, stored.message), isNew: before === undefined };
    });
  }

  /** Lists changes by their time, latest first. */
  async list(tenant: string, filter: ChangeFilter = {}, page: PageRequest = {}): Promise<Page<Change>> {
    checkTenant(tenant);
    const { from, until, service } = filter;
    let query = this.#context.database.read
      .selectFrom("changes")
      .select(["id", "time", "message"])
      .where("tenant", "=", tenant);
    if (from !== undefined) query = query.where("time", ">=", from);
    if (until !== undefined) query = query.where("time", "<", until);
    if (service !== undefined) query = query.where("service", "=", serviceName(service));
    const { items, ...rest } = await latestFirst(query, "time", page);
    return { items: items.map(({ message }) => fromBinary(ChangeSchema, message)), ...rest };
  }
}
