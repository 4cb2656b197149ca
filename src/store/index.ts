/**
 * The store of anomalies, stream statistics, API keys and audit logs, in SQLite or PostgreSQL. Each row belongs to one
 * tenant.
 */
import { join } from "node:path";
import type { Logger } from "pino";
import type { AnomalySink } from "../anomaly/report.ts";
import { SteadyClock, steadyClock } from "../base/clock.ts";
import { endsWithin } from "../base/deadline.ts";
import type { Config } from "../config/schema.ts";
import type { Versions } from "../version.ts";
import { AlarmBudgets } from "./alarm-budgets.ts";
import { Announcements } from "./announcements.ts";
import { Anomalies } from "./anomalies/anomalies.ts";
import { Recorder } from "./anomalies/recorder.ts";
import { Writer, type WriterLimits } from "./anomalies/writer.ts";
import { Audit } from "./audit.ts";
import { AuditHeads, type ChainedHead, currentHeads, type Head, type HeadsState } from "./audit-heads.ts";
import { AuditTree } from "./audit-tree.ts";
import { Billing } from "./billing.ts";
import { Changes } from "./changes.ts";
import { Database, type DatabaseOptions, type MigrationState } from "./database/database.ts";
import { reasonOf, StoreUnavailable } from "./database/errors.ts";
import type { DatabaseKind } from "./database/migrations.ts";
import { Evidence } from "./evidence.ts";
import { IncidentReports } from "./incident-reports.ts";
import { Incidents } from "./incidents/incidents.ts";
import { IncidentWriter } from "./incidents/writer.ts";
import { Judgements } from "./judgements.ts";
import { KeptCounts } from "./kept-counts.ts";
import { Keys } from "./keys.ts";
import { LlmCalls } from "./llm.ts";
import { NotableFindings } from "./notable.ts";
import { Notifications } from "./notifications.ts";
import { Policies } from "./policies.ts";
import { Positions } from "./positions.ts";
import { Recordings } from "./recordings.ts";
import { Retention } from "./retention.ts";
import { Sessions } from "./sessions.ts";
import { settingsOf } from "./settings.ts";
import { Silences } from "./silences.ts";
import { Streams } from "./streams/streams.ts";
import { Usage } from "./usage.ts";

export type { AlarmBudgets } from "./alarm-budgets.ts";
export type { Announced, Announcement, Announcements, Hearer } from "./announcements.ts";
export type {
  Anomalies,
  AnomalyDetail,
  AnomalyEvent,
  AnomalyPatch,
  KeptReport,
  RelatedAnomalies,
} from "./anomalies/anomalies.ts";
export { type AnomalyCounts, type BucketCount, type Lane, lanes } from "./anomalies/counts.ts";
export type { AnomalyFilter } from "./anomalies/search.ts";
export type { AnomalySummary, StoredReport } from "./anomalies/summary.ts";
export type { Writer, WriterState } from "./anomalies/writer.ts";
export type { Audit, AuditVerdict, RecordedHead, RecordedRoot } from "./audit.ts";
export type { AuditEntry, AuditInput, ChainedEntry } from "./audit-chain.ts";
export { type ChainedHead, type Head, type HeadsState, parseHeads, readHeads } from "./audit-heads.ts";
export type { AuditTree, LoggedEntry } from "./audit-tree.ts";
export type { Billing, Meter, Subscription, UnsentEvents, UsageEvent } from "./billing.ts";
export type { ChangeFilter, Changes, NewChange } from "./changes.ts";
export { InvalidArgument, isUnavailable, reasonOf, StoreUnavailable } from "./database/errors.ts";
export type { DatabaseKind } from "./database/migrations.ts";
export type { Evidence, NewBundle, StoredBundle } from "./evidence.ts";
export type { EnteredReports, IncidentReports } from "./incident-reports.ts";
export type {
  Expectation,
  IncidentDetail,
  IncidentEvent,
  IncidentFilter,
  IncidentPatch,
  Incidents,
} from "./incidents/incidents.ts";
export type { IncidentSummary } from "./incidents/summary.ts";
export type { IncidentWriter, IncidentWriterState } from "./incidents/writer.ts";
export type { Judgement, Judgements } from "./judgements.ts";
export {
  type ApiKey,
  type Identity,
  type Keys,
  type MadeKey,
  type NewKey,
  type Scope,
  scopes,
} from "./keys.ts";
export {
  type Conversation,
  type ConversationFilter,
  type ConversationSummary,
  type LlmCalls,
  maxConversationCalls,
} from "./llm.ts";
export type { NotableFilter } from "./notable.ts";
export type { Hold, Notifications, OutboxChange, OutboxEntry, OutboxRow } from "./notifications.ts";
export type { Page, PageRequest } from "./page.ts";
export type { Policies, StoredPolicies } from "./policies.ts";
export { type Position, PositionMoved, type Positions } from "./positions.ts";
export type { Recordings } from "./recordings.ts";
export { type Retention, type RetentionResult, retentionTarget } from "./retention.ts";
export type { Holder, Session, Sessions } from "./sessions.ts";
export { type Settings, settingsOf } from "./settings.ts";
export {
  type NewSilence,
  type Silence,
  type SilenceState,
  type Silences,
  silenceState,
  silenceStates,
} from "./silences.ts";
export { StreamFeed } from "./streams/feed.ts";
export type { StreamPoint } from "./streams/points.ts";
export type {
  RatedPoint,
  Stream,
  StreamFilter,
  StreamObservation,
  Streams,
} from "./streams/streams.ts";
export type { Amount, DailyUsage, Usage } from "./usage.ts";

type StoreSettings = Pick<Config, "data_dir" | "store" | "detect"> & {
  evidence: Pick<Config["evidence"], "recordings" | "max_age">;
};

export interface StoreOptions {
  log: Logger;
  /** The versions that are stored with each anomaly, besides the settings of the detection. */
  versions: Versions;
  /** The machine's clock and one that never steps, both in milliseconds. By default they are those of the process. */
  now?: () => number;
  elapsed?: () => number;
  writer?: Partial<WriterLimits>;
  thread?: DatabaseOptions["thread"];
  /** Receives the heads of changes to the audit logs, instead of the file of them, which another store of the process writes. */
  recordHeads?: (heads: readonly ChainedHead[]) => void;
}

export interface Health {
  ready: boolean;
  /** The reason in either case. */
  reason: string;
}

/** Queries for operators of the whole installation. Nothing else crosses tenants. */
export interface Admin {
  /** Lists the known tenants by name. `after` is the last one of the previous page. */
  tenants(page?: { after?: string; limit?: number }): Promise<string[]>;
  /** Returns the newest entry of each tenant's audit log. */
  auditHeads(): Promise<Head[]>;
}

/** Returns the file of the audit logs' heads. Each kind of database has its own. */
export function headsFile({ data_dir, store }: Pick<Config, "data_dir" | "store">): string {
  return join(data_dir, `audit-heads.${store.url === undefined ? "sqlite" : "postgres"}`);
}

/** How often the database is checked, and pending data in memory is written. */
const heartbeatMs = 1_000;
/** If the database does not respond for this long, it counts as unavailable. */
const silentMs = 3_000;
const retentionMs = 60_000;
/** The time between two checks of the audit logs. */
const compareMs = 60_000;
const waiting =
  "retention by age waits until the machine's clock has been right for some hours: it has jumped, or the store does not know it";
/** How long closing waits for pending data, and then for the connections. */
const closeMs = 5_000;

export class Store {
  readonly kind: DatabaseKind;
  readonly anomalies: Anomalies;
  readonly incidents: Incidents;
  readonly incidentReports: IncidentReports;
  readonly changes: Changes;
  readonly notable: NotableFindings;
  readonly llm: LlmCalls;
  readonly streams: Streams;
  readonly keys: Keys;
  readonly sessions: Sessions;
  readonly audit: Audit;
  readonly auditTree: AuditTree;
  readonly usage: Usage;
  readonly billing: Billing;
  readonly judgements: Judgements;
  readonly announcements: Announcements;
  readonly evidence: Evidence;
  readonly policies: Policies;
  readonly silences: Silences;
  readonly notifications: Notifications;
  readonly recordings: Recordings;
  readonly positions: Positions;
  readonly alarmBudgets: AlarmBudgets;
  readonly retention: Retention;
  readonly admin: Admin;
  readonly writer: Writer;
  readonly incidentWriter: IncidentWriter;
  readonly #database: Database;
  readonly #heads: AuditHeads;
  readonly #recorder: Recorder;
  readonly #log: Logger;
  readonly #timers: NodeJS.Timeout[] = [];
  #health: Health = { ready: false, reason: "not connected yet" };
  #beating = false;
  #headsComparedAt = Number.NEGATIVE_INFINITY;
  #waitsForClock = false;
  #closed: Promise<void> | undefined;

  /** Stores are created by `openStore`. */
  constructor(config: StoreSettings, options: StoreOptions) {
    const { log, versions, now = Date.now, elapsed = () => performance.now(), writer, thread } = options;
    const database = new Database(config, thread && { thread });
    const clock = options.now === undefined ? steadyClock : new SteadyClock(now, elapsed);
    const heads = new AuditHeads(headsFile(config), log);
    const { recordHeads } = options;
    const recorder = recordHeads && {
      record: async (entries: readonly ChainedHead[]) => recordHeads(entries),
    };
    const context = { database, heads: recorder ?? heads, now, clock, elapsed };
    this.kind = database.kind;
    this.#database = database;
    this.#heads = heads;
    this.#log = log;
    const settings = settingsOf(config.detect, versions);
    this.#recorder = new Recorder({ config: { data_dir: config.data_dir, store: config.store }, settings });
    this.incidents = new Incidents(context);
    this.anomalies = new Anomalies(context, settings, this.incidents);
    this.incidentReports = new IncidentReports(context);
    this.changes = new Changes(context);
    this.notable = new NotableFindings(context);
    this.llm = new LlmCalls(context);
    this.streams = new Streams(context);
    this.keys = new Keys(context);
    this.sessions = new Sessions(context, this.keys);
    this.audit = new Audit(context);
    this.auditTree = new AuditTree(context);
    this.usage = new Usage(context);
    this.billing = new Billing(context, this.usage);
    this.judgements = new Judgements(context);
    this.announcements = new Announcements(database, config.store.url, log);
    this.sessions.onEnd = (hash) => this.announcements.announce("sessions", "", [hash]);
    this.evidence = new Evidence(context);
    this.policies = new Policies(context);
    this.silences = new Silences(context);
    this.notifications = new Notifications(context);
    this.recordings = new Recordings(context, config.evidence.recordings);
    this.positions = new Positions(context);
    this.alarmBudgets = new AlarmBudgets(context);
    this.retention = new Retention(
      context,
      { ...config.store.retention, evidence_max_age: config.evidence.max_age },
      { recordings: this.recordings, evidence: this.evidence, counts: new KeptCounts(context) },
    );
    const record = async (reports: readonly Uint8Array[]) => {
      database.check();
      await this.#recorder.record({ reports, now: clock.now() });
    };
    this.writer = new Writer(record, log, writer);
    this.writer.onStored = (stored) => {
      for (const [tenant, of] of Map.groupBy(stored, (each) => each.tenant)) {
        this.announcements.announce(
          "anomalies",
          tenant,
          of.map(({ id }) => id),
        );
      }
    };
    this.incidentWriter = new IncidentWriter((batch) => {
      database.check();
      return this.incidents.record(batch);
    }, log);
    this.admin = {
      async tenants({ after = "", limit = 1_000 } = {}) {
        const query = database.read.selectFrom("tenants").select("id").where("id", ">", after);
        return (await query.orderBy("id").limit(limit).execute()).map(({ id }) => id);
      },
      auditHeads: () => currentHeads(database.read),
    };
  }

  /** Migrates the database, then monitors it in the background. If PostgreSQL is unavailable, this is retried there. */
  async open(): Promise<void> {
    try {
      await this.#database.migrate();
      this.#health = this.#well();
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) {
        await this.#database.close();
        throw error;
      }
      this.#health = { ready: false, reason: error.message };
      this.#log.warn({ reason: error.message }, "store: unavailable; anomaly reports wait in memory");
    }
    await this.#heads.load();
    const every = (ms: number, work: () => Promise<unknown>) =>
      this.#timers.push(setInterval(() => void work(), ms).unref());
    every(heartbeatMs, () => this.#heartbeat());
    every(retentionMs, () => this.#retain());
  }

  /** Begins without migrating or monitoring, because another thread of the process does both. */
  attach(): void {
    this.#database.adopt();
  }

  /** Returns the health as of about a second ago. */
  health(): Health {
    const { queued, dropped } = this.writer.state();
    const { ready, reason } = this.#health;
    if (ready) return { ready, reason };
    return { ready, reason: `${reason}; reports of anomalies waiting: ${queued}, dropped: ${dropped}` };
  }

  /** Returns the audit logs' heads, as this process knows them. */
  auditHeads(): HeadsState {
    return this.#heads.state();
  }

  /** Records the heads of changes that another store of the process has made, as its own. */
  recordHeads(heads: readonly ChainedHead[]): Promise<void> {
    return this.#heads.record(heads);
  }

  /** Writes pending data, for at most some seconds. A second call waits for the first. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #well(): Health {
    return { ready: true, reason: `${this.#database.place} answers` };
  }

  async #heartbeat(): Promise<void> {
    if (this.#beating) return;
    this.#beating = true;
    const { place } = this.#database;
    const late = setTimeout(() => {
      this.#health = { ready: false, reason: `${place}: no answer for ${silentMs / 1_000} s` };
    }, silentMs).unref();
    try {
      await this.#database.migrate();
      await this.#database.ping();
      await this.usage.flush();
      await this.notable.flush();
      await this.llm.flush();
      await this.keys.flush();
      if (performance.now() - this.#headsComparedAt >= compareMs) {
        await this.#heads.compare(this.#database.read);
        this.#headsComparedAt = performance.now();
      }
      const { failure } = this.writer.state();
      this.#health = failure === undefined ? this.#well() : { ready: false, reason: `${place}: ${failure}` };
    } catch (error) {
      const reason = reasonOf(error);
      this.#health = { ready: false, reason: reason.includes(place) ? reason : `${place}: ${reason}` };
    } finally {
      clearTimeout(late);
      this.#beating = false;
    }
  }

  async #retain(): Promise<void> {
    if (!this.#health.ready) return;
    try {
      const result = await this.retention.run();
      const waits = this.retention.waitsForClock;
      if (waits !== this.#waitsForClock) this.#log.info(waits ? waiting : "store: retention by age resumes");
      this.#waitsForClock = waits;
      if (result.anomalies + result.bundles > 0) this.#log.info(result, "store: retention has deleted data");
    } catch (error) {
      this.#log.warn({ reason: reasonOf(error) }, "store: retention failed; it is retried in a minute");
    }
  }

  async #close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await endsWithin(
      closeMs,
      Promise.allSettled([
        this.retention.close(),
        this.writer.close(closeMs),
        this.incidentWriter.close(closeMs),
        this.usage.flush(),
        this.notable.flush(),
        this.llm.flush(),
        this.keys.flush(),
      ]),
    );
    await endsWithin(closeMs, this.announcements.close());
    await endsWithin(
      closeMs,
      Promise.allSettled([this.#recorder.close(), this.#heads.close(), this.#database.close()]),
    );
  }
}

/**
 * Opens the store and brings its schema up to date, one process at a time. If PostgreSQL cannot be reached, the attempt
 * is repeated in the background. Until it succeeds, methods throw errors that `isUnavailable` recognizes, and `health`
 * returns the reason.
 * @throws {Error} that names the key and the remedy if another attempt would not help.
 */
export async function openStore(config: StoreSettings, options: StoreOptions): Promise<Store> {
  const store = new Store(config, options);
  await store.open();
  return store;
}

/** Returns the store of a database that another thread of the process has opened. Its queries may block the calling thread. */
export function attachStore(config: StoreSettings, options: StoreOptions): Store {
  const store = new Store(config, { ...options, thread: "this" });
  store.attach();
  return store;
}

/** Returns a sink that stores each anomaly. */
export function anomalySink(store: Store): AnomalySink {
  return store.writer.offer;
}

/**
 * Applies or reverts migrations until the named one is the last one applied. Without a name, all are reverted.
 * @throws {Error} that names the key and the remedy.
 */
export async function migrateTo(
  config: Pick<Config, "data_dir" | "store">,
  name: string | undefined,
): Promise<void> {
  const database = new Database(config);
  try {
    await database.migrateTo(name);
  } finally {
    await database.close();
  }
}

/** Returns the applied and the pending migrations of a database, without changing it. */
export async function migrationState(
  config: Pick<Config, "data_dir" | "store">,
): Promise<MigrationState & { kind: DatabaseKind; place: string }> {
  const database = new Database(config);
  try {
    const { kind, place } = database;
    return { kind, place, ...(await database.migrationState()) };
  } finally {
    await database.close();
  }
}
