import { fromBinary } from "@bufbuild/protobuf";
import { sql } from "kysely";
import {
  type Anomaly,
  AnomalySchema,
  type Channel,
  type Severity,
  type Signal,
} from "../gen/driftlock/v1/anomaly_pb.js";
import { checkId, checkTenant, checkText } from "./arguments.ts";
import { appendAudit } from "./audit.ts";
import type { Context } from "./context.ts";
import { InvalidArgument } from "./errors.ts";
import { latestFirst, type Page, type PageRequest } from "./page.ts";
import { channelMask, maxExamples, recordReports } from "./record.ts";
import { encodeReport, searchable, serviceName, streamId, streamKey } from "./report.ts";
import type { Settings } from "./settings.ts";

/** What a person made of an anomaly. */
export const dispositions = ["acknowledged", "resolved", "accepted", "false"] as const;
export type Disposition = (typeof dispositions)[number];
/** open and ended (nothing flagged for the quiet time) until a person has said something. */
export type AnomalyState = "open" | "ended" | Disposition;

export interface StoredReport {
  /** As it was reported, `excerpts` with the first alone. */
  anomaly: Anomaly;
  /** driftlock.v1.Anomaly */
  bytes: Uint8Array;
  settingsHash: string;
}

/** What all reports of an anomaly say together. */
export interface AnomalySummary {
  tenant: string;
  id: string;
  stream: string;
  streamId: string;
  service: string;
  signal: Signal;
  /** Of all reports. */
  channels: Channel[];
  /** The highest of all reports. */
  severity: Severity;
  /** Event times of the first flagged verdict and of the latest, nanoseconds since 1970. */
  startTime: bigint;
  endTime: bigint;
  occurrences: bigint;
  ended: boolean;
  state: AnomalyState;
  /** Milliseconds since 1970: when the first report was stored. */
  recordedAt: number;
  /** When the latest was, or a person said something of it. */
  changedAt: number;
  /** Whose score is the highest multiple of its limit. None where only the anomaly's end has been told. */
  strongest: StoredReport | undefined;
}

export interface AnomalyEvent {
  state: Disposition;
  author: string;
  /** Milliseconds since 1970. */
  time: number;
  note: string;
}

export interface AnomalyDetail extends AnomalySummary {
  first: StoredReport | undefined;
  /** Up to five with distinct records, by occurrence. */
  examples: StoredReport[];
  /** Oldest first. */
  events: AnomalyEvent[];
  /** Of the reports above. */
  settings: Settings[];
}

/** Members narrow together; the values of one are alternatives. */
export interface AnomalyFilter {
  /** Of the anomaly's start, nanoseconds since 1970; `until` is no part of the range. */
  from?: bigint;
  until?: bigint;
  /** The stream's key, or its id. */
  stream?: string;
  streamId?: string;
  service?: string;
  signal?: readonly Signal[];
  channel?: readonly Channel[];
  severity?: readonly Severity[];
  state?: readonly AnomalyState[];
  /** In an explanation or a record, whatever the case of its letters. */
  text?: string;
}

export interface AnomalyPatch {
  state: Disposition;
  author: string;
  note?: string;
}

const maxAuthor = 256;
const maxNote = 4_096;
const maxSearch = 256;

const summaryColumns = [
  "tenant",
  "id",
  "stream",
  "stream_id",
  "service",
  "signal",
  "channels",
  "severity",
  "start_time",
  "end_time",
  "occurrences",
  "ended",
  "state",
  "recorded_at",
  "changed_at",
] as const;
type SummaryRow = {
  [C in Exclude<
    (typeof summaryColumns)[number],
    "tenant" | "id" | "stream" | "stream_id" | "service" | "state"
  >]: bigint;
} & { tenant: string; id: string; stream: string; stream_id: string; service: string; state: string };

function channelsOf(bits: bigint): Channel[] {
  return Array.from({ length: 32 }, (_, channel) => channel).filter(
    (channel) => (bits & (1n << BigInt(channel))) !== 0n,
  );
}

function toSummary(row: SummaryRow, strongest: StoredReport | undefined): AnomalySummary {
  return {
    tenant: row.tenant,
    id: row.id,
    stream: row.stream,
    streamId: row.stream_id,
    service: row.service,
    signal: Number(row.signal),
    channels: channelsOf(row.channels),
    severity: Number(row.severity),
    startTime: row.start_time,
    endTime: row.end_time,
    occurrences: row.occurrences,
    ended: row.ended === 1n,
    state: row.state as AnomalyState,
    recordedAt: Number(row.recorded_at),
    changedAt: Number(row.changed_at),
    strongest,
  };
}

interface ReportRow {
  settings_hash: string;
  report: Uint8Array;
}

function toReport({ settings_hash: settingsHash, report: bytes }: ReportRow): StoredReport {
  return { anomaly: fromBinary(AnomalySchema, bytes), bytes, settingsHash };
}

export class Anomalies {
  readonly #context: Context;
  readonly #settings: Settings;

  /** @param settings what the reports to come are computed with. */
  constructor(context: Context, settings: Settings) {
    this.#context = context;
    this.#settings = settings;
  }

  /**
   * Stores reports, of any tenants, or none of them.
   * @throws {InvalidArgument} for a report without a tenant or an id that can be stored.
   */
  async record(batch: readonly Anomaly[]): Promise<void> {
    const reports = batch.map((anomaly) => encodeReport(anomaly));
    await recordReports(this.#context, this.#settings, reports);
  }

  /** By start, the latest first. */
  async list(
    tenant: string,
    filter: AnomalyFilter = {},
    page: PageRequest = {},
  ): Promise<Page<AnomalySummary>> {
    checkTenant(tenant);
    const db = this.#context.database.read;
    let query = db.selectFrom("anomalies").select(summaryColumns).where("tenant", "=", tenant);
    if (filter.from !== undefined) query = query.where("start_time", ">=", filter.from);
    if (filter.until !== undefined) query = query.where("start_time", "<", filter.until);
    if (filter.stream !== undefined)
      query = query.where("stream_id", "=", streamId(streamKey(filter.stream)));
    if (filter.streamId !== undefined) query = query.where("stream_id", "=", filter.streamId);
    if (filter.service !== undefined) query = query.where("service", "=", serviceName(filter.service));
    if (filter.signal) query = query.where("signal", "in", filter.signal.map(BigInt));
    if (filter.severity) query = query.where("severity", "in", filter.severity.map(BigInt));
    if (filter.state) query = query.where("state", "in", filter.state);
    if (filter.channel) query = query.where(sql<boolean>`(channels & ${channelMask(filter.channel)}) <> 0`);
    if (filter.text !== undefined) {
      if (filter.text.length > maxSearch) {
        throw new InvalidArgument("text", `must be at most ${maxSearch} characters`);
      }
      const pattern = `%${searchable(filter.text).replace(/[\\%_]/g, "\\$&")}%`;
      query = query.where(({ exists, selectFrom }) =>
        exists(
          selectFrom("anomaly_reports as r")
            .select("r.hash")
            .where("r.tenant", "=", tenant)
            .whereRef("r.anomaly_id", "=", "anomalies.id")
            .where(sql<boolean>`r.text like ${pattern} escape '\\'`),
        ),
      );
    }
    const { items, ...rest } = await latestFirst(query, "start_time", page);
    return { items: await this.#summaries(tenant, items), ...rest };
  }

  /**
   * Anomalies that were reported or judged after a position, the first to change first; those of its very time that follow
   * `id` are among them. @param time milliseconds since 1970
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
    const reports = await db
      .selectFrom("anomaly_reports")
      .select(["record_hash", "settings_hash", "strength", "report"])
      .where("tenant", "=", tenant)
      .where("anomaly_id", "=", id)
      .orderBy("occurrence")
      .orderBy("hash")
      .execute();
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
    const strength = Math.max(...reports.map((report) => report.strength));
    const records = new Set<string>();
    const examples = stored.filter((_, i) => {
      const { record_hash: record } = reports[i]!;
      return !records.has(record) && records.add(record).size <= maxExamples;
    });
    return {
      ...toSummary(row, stored[reports.findIndex((report) => report.strength === strength)]),
      first: stored[0],
      examples,
      events: events.map((event) => ({
        ...event,
        state: event.state as Disposition,
        time: Number(event.time),
      })),
      settings,
    };
  }

  /**
   * Says what a person made of an anomaly, with an entry in the audit log. Undefined where there is no such anomaly.
   * @throws {InvalidArgument}
   */
  async patch(tenant: string, id: string, patch: AnomalyPatch): Promise<AnomalyDetail | undefined> {
    checkTenant(tenant);
    checkId("id", id);
    const { state } = patch;
    if (!dispositions.includes(state)) {
      throw new InvalidArgument("state", `must be one of ${dispositions.join(", ")}`);
    }
    const author = checkText("author", patch.author, { min: 1, max: maxAuthor });
    const note = checkText("note", patch.note ?? "", { max: maxNote });
    const { database, now } = this.#context;
    await database.write.transaction().execute(async (trx) => {
      const time = now();
      // Takes the lock of the row, in which events line up.
      const changed = await trx
        .updateTable("anomalies")
        .set({
          disposition: state,
          changed_at: sql`case when changed_at < ${BigInt(time)} then ${BigInt(time)} else changed_at end`,
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
      await appendAudit(
        trx,
        tenant,
        { actor: author, action: `anomaly.${state}`, target: id, detail: { note } },
        time,
      );
    });
    return this.get(tenant, id);
  }

  async #summaries(tenant: string, rows: readonly SummaryRow[]): Promise<AnomalySummary[]> {
    const strongest = await this.#strongest(
      tenant,
      rows.map(({ id }) => id),
    );
    return rows.map((row) => toSummary(row, strongest.get(row.id)));
  }

  async #strongest(tenant: string, ids: readonly string[]): Promise<Map<string, StoredReport>> {
    if (ids.length === 0) return new Map();
    const db = this.#context.database.read;
    const rows = await db
      .selectFrom((eb) =>
        eb
          .selectFrom("anomaly_reports")
          .select(["anomaly_id", "settings_hash", "report"])
          .select(
            sql<bigint>`row_number() over (partition by anomaly_id order by strength desc, occurrence, hash)`.as(
              "nth",
            ),
          )
          .where("tenant", "=", tenant)
          .where("anomaly_id", "in", ids)
          .as("ranked"),
      )
      .select(["anomaly_id", "settings_hash", "report"])
      .where("nth", "=", 1n)
      .execute();
    return new Map(rows.map((row) => [row.anomaly_id, toReport(row)]));
  }
}
