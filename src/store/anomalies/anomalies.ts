import { sql } from "kysely";
import { type Disposition, dispositions } from "../../anomaly/names.ts";
import { encodeReport } from "../../anomaly/report.ts";
import type { Anomaly } from "../../gen/driftlock/v1/anomaly_pb.js";
import { checkAuthor, checkId, checkTenant, checkText } from "../arguments.ts";
import { changeAudited } from "../audit.ts";
import type { Context } from "../context.ts";
import { InvalidArgument } from "../database/errors.ts";
import type { Incidents } from "../incidents/incidents.ts";
import { latestChange } from "../latest-change.ts";
import type { Page, PageRequest } from "../page.ts";
import type { Settings } from "../settings.ts";
import { type AnomalyCounts, type CountRequest, countAnomalies } from "./counts.ts";
import { type Ranked, rankReports } from "./ranking.ts";
import { recordReports } from "./record.ts";
import { relatedTo } from "./related.ts";
import { toRow } from "./report.ts";
import { type AnomalyFilter, searchAnomalies } from "./search.ts";
import {
  type AnomalySummary,
  type StoredReport,
  type SummaryRow,
  summaryColumns,
  toReport,
  toSummary,
} from "./summary.ts";

export interface AnomalyEvent {
  state: Disposition;
  author: string;
  /** The time in milliseconds since 1970. */
  time: number;
  note: string;
}

export interface AnomalyDetail extends AnomalySummary {
  first: StoredReport | undefined;
  /** Up to five reports with distinct records, among them what was new, by occurrence. */
  examples: StoredReport[];
  /** The triage events, oldest first. */
  events: AnomalyEvent[];
  /** The settings of the reports above. */
  settings: Settings[];
}

/** A report that is kept, with the SHA-256 of its bytes, in hex, and what orders the reports of an anomaly by strength. */
export interface KeptReport extends StoredReport {
  hash: string;
  strength: number;
}

/** Anomalies that may have to do with another one. */
export interface RelatedAnomalies {
  /** Anomalies with a report of the same trace, by their start. */
  sameTrace: AnomalySummary[];
  /** Anomalies that began within five minutes of it, the closest first. */
  sameTime: AnomalySummary[];
}

export interface AnomalyPatch {
  state: Disposition;
  author: string;
  note?: string;
}

const maxNote = 4_096;
/** The largest number of ids in a query. */
const maxIds = 1_000;

export class Anomalies {
  readonly #context: Context;
  readonly #settings: Settings;
  readonly #incidents: Incidents;

  /** @param settings the settings that new reports are computed with */
  constructor(context: Context, settings: Settings, incidents: Incidents) {
    this.#context = context;
    this.#settings = settings;
    this.#incidents = incidents;
  }

  /**
   * Stores all reports, of any tenants, or none of them.
   * @throws {InvalidArgument} if a report has no tenant or no id that can be stored.
   */
  async record(batch: readonly Anomaly[]): Promise<void> {
    const reports = batch.map((message) => toRow(encodeReport(message)));
    await recordReports(this.#context, this.#settings, reports);
  }

  /** Lists anomalies by their start, latest first. */
  async list(
    tenant: string,
    filter: AnomalyFilter = {},
    page: PageRequest = {},
  ): Promise<Page<AnomalySummary>> {
    checkTenant(tenant);
    const { items, ...rest } = await searchAnomalies(this.#context, tenant, filter, page);
    return { items: await this.#summaries(tenant, items), ...rest };
  }

  /**
   * Counts the anomalies that match by lane, time and severity.
   * @throws {InvalidArgument}
   */
  async counts(tenant: string, filter: AnomalyFilter, request: CountRequest): Promise<AnomalyCounts> {
    checkTenant(tenant);
    return countAnomalies(this.#context, tenant, filter, request);
  }

  /** Returns anomalies that may have to do with one; undefined if there is no such anomaly. */
  async related(tenant: string, id: string): Promise<RelatedAnomalies | undefined> {
    checkTenant(tenant);
    checkId("id", id);
    const found = await relatedTo(this.#context, tenant, id);
    if (found === undefined) return undefined;
    const { sameTrace, sameTime } = found;
    const all = await this.#summaries(tenant, [...sameTrace, ...sameTime]);
    return { sameTrace: all.slice(0, sameTrace.length), sameTime: all.slice(sameTrace.length) };
  }

  /**
   * Lists anomalies that were reported or triaged after a position, in the order of their changes. Those of the same
   * time that follow `id` are included.
   * @param time milliseconds since 1970
   */
  async changedSince(
    tenant: string,
    { time, id }: { time: number; id: string },
    limit: number,
  ): Promise<AnomalySummary[]> {
    checkTenant(tenant);
    const rows = await this.#context.database.read
      .selectFrom("anomalies")
      .select(summaryColumns)
      .where("tenant", "=", tenant)
      .where(sql<boolean>`(changed_at, id) > (${BigInt(time)}, ${id})`)
      .orderBy("changed_at")
      .orderBy("id")
      .limit(limit)
      .execute();
    return this.#summaries(tenant, rows);
  }

  /**
   * Returns when an anomaly of any tenant was last reported or triaged, in milliseconds since 1970; 0 if that is not
   * known.
   */
  latestChange(): Promise<number> {
    return latestChange(this.#context, "anomalies");
  }

  /** Returns those of the given ids that are stored, in the order of their start, up to a number. */
  async some(tenant: string, ids: readonly string[], limit: number): Promise<AnomalySummary[]> {
    checkTenant(tenant);
    if (ids.length === 0) return [];
    const rows = await this.#context.database.read
      .selectFrom("anomalies")
      .select(summaryColumns)
      .where("tenant", "=", tenant)
      .where("id", "in", ids.slice(0, maxIds))
      .orderBy("start_time")
      .orderBy("id")
      .limit(limit)
      .execute();
    return this.#summaries(tenant, rows);
  }

  async get(tenant: string, id: string): Promise<AnomalyDetail | undefined> {
    checkTenant(tenant);
    checkId("id", id);
    const db = this.#context.database.read;
    const row = await db
      .selectFrom("anomalies")
      .select(summaryColumns)
      .where("tenant", "=", tenant)
      .where("id", "=", id)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const { rows: reports } = await sql<Ranked & { settings_hash: string; report: Uint8Array }>`
      select ranked.*, settings_hash, report
      from (${rankReports(sql`tenant = ${tenant} and anomaly_id = ${id}`)}) as ranked
      join anomaly_reports using (tenant, anomaly_id, hash) order by nth`.execute(db);
    const events = await db
      .selectFrom("anomaly_events")
      .select(["state", "author", "time", "note"])
      .where("tenant", "=", tenant)
      .where("anomaly_id", "=", id)
      .orderBy("seq")
      .execute();
    const hashes = [...new Set(reports.map(({ settings_hash }) => settings_hash))];
    const settings =
      hashes.length === 0
        ? []
        : await db.selectFrom("settings").select(["hash", "body"]).where("hash", "in", hashes).execute();

    const stored = reports.map(toReport);
    return {
      ...toSummary(
        row,
        stored[reports.findIndex((report) => report.by_strength === 1n)],
        (await this.#incidents.ofAnomalies(tenant, [id])).get(id),
      ),
      first: stored[0],
      examples: stored.filter((_, i) => reports[i]!.example === 1n),
      events: events.map((event) => ({
        ...event,
        state: event.state as Disposition,
        time: Number(event.time),
      })),
      settings,
    };
  }

  /** Returns all reports of an anomaly that are kept, by occurrence. */
  async reports(tenant: string, id: string): Promise<KeptReport[]> {
    checkTenant(tenant);
    const rows = await this.#context.database.read
      .selectFrom("anomaly_reports")
      .select(["hash", "settings_hash", "strength", "report"])
      .where("tenant", "=", tenant)
      .where("anomaly_id", "=", checkId("id", id))
      .orderBy("occurrence")
      .orderBy("hash")
      .execute();
    return rows.map((row) => ({ ...toReport(row), hash: row.hash, strength: row.strength }));
  }

  /**
   * Stores the triage of an anomaly, with an entry in the audit log. Undefined if there is no such anomaly.
   * @throws {InvalidArgument}
   */
  async patch(tenant: string, id: string, patch: AnomalyPatch): Promise<AnomalyDetail | undefined> {
    checkTenant(tenant);
    checkId("id", id);
    const { state } = patch;
    if (!dispositions.includes(state)) {
      throw new InvalidArgument("state", `must be one of ${dispositions.join(", ")}`);
    }
    const author = checkAuthor(patch.author);
    const note = checkText("note", patch.note ?? "", { max: maxNote });
    const { clock, now } = this.#context;
    await changeAudited(this.#context, async (trx, append) => {
      const time = now();
      const changedAt = BigInt(clock.now());
      // This locks the row, which puts concurrent events in order.
      const changed = await trx
        .updateTable("anomalies")
        .set({
          disposition: state,
          changed_at: sql`case when changed_at < ${changedAt} then ${changedAt} else changed_at end`,
        })
        .where("tenant", "=", tenant)
        .where("id", "=", id)
        .returning("id")
        .executeTakeFirst();
      if (changed === undefined) return;
      const { last } = await trx
        .selectFrom("anomaly_events")
        .select((eb) => eb.fn.coalesce(eb.fn.max("seq"), eb.lit(0)).as("last"))
        .where("tenant", "=", tenant)
        .where("anomaly_id", "=", id)
        .executeTakeFirstOrThrow();
      await trx
        .insertInto("anomaly_events")
        .values({ tenant, anomaly_id: id, seq: BigInt(last) + 1n, state, author, time, note })
        .execute();
      await append(tenant, { actor: author, action: `anomaly.${state}`, target: id, detail: { note } }, time);
    });
    return this.get(tenant, id);
  }

  async #summaries(tenant: string, rows: readonly SummaryRow[]): Promise<AnomalySummary[]> {
    const ids = rows.map(({ id }) => id);
    const strongest = await this.#strongest(tenant, ids);
    const incidents = await this.#incidents.ofAnomalies(tenant, ids);
    return rows.map((row) => toSummary(row, strongest.get(row.id), incidents.get(row.id)));
  }

  async #strongest(tenant: string, ids: readonly string[]): Promise<Map<string, StoredReport>> {
    if (ids.length === 0) return new Map();
    const db = this.#context.database.read;
    const among = sql`tenant = ${tenant} and anomaly_id in (${sql.join(ids)})`;
    const { rows } = await sql<Ranked & { settings_hash: string; report: Uint8Array }>`
      select anomaly_id, settings_hash, report from (${rankReports(among)}) as ranked
      join anomaly_reports using (tenant, anomaly_id, hash) where by_strength = 1`.execute(db);
    return new Map(rows.map((row) => [row.anomaly_id, toReport(row)]));
  }
}
