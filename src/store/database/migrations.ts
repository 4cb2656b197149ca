/** The migrations of the schema of both databases. Never change a migration that was released: add another one. */
import {
  type ColumnDefinitionBuilder,
  type CreateTableBuilder,
  type ForeignKeyConstraintBuilder,
  type Kysely,
  type SchemaModule,
  sql,
  type Transaction,
} from "kysely";
import type { Migration } from "kysely/migration";
import { appendAudit } from "../audit-chain.ts";
import { readKeyRows, recordedKey } from "../key-history.ts";
import type { Tables } from "./tables.ts";

export type DatabaseKind = "sqlite" | "postgres";

type Type = Parameters<CreateTableBuilder<string>["addColumn"]>[1];
type Build = (column: ColumnDefinitionBuilder) => ColumnDefinitionBuilder;
/** A migration that can be reverted. */
export interface ReversibleMigration extends Required<Migration> {
  /** What is lost if the migration is reverted, as messages show it. */
  loses: string;
}

/** The columns of a table by name. A column for which only a type is given is never null. */
type Columns = Readonly<Record<string, Type | readonly [Type, Build]>>;

const primary: Build = (column) => column.primaryKey();
const nullable: Build = (column) => column;
const required: Build = (column) => column.notNull();

/** The type for bytes, whose name differs between the databases. */
const blob = { sqlite: sql`blob`, postgres: sql`bytea` } as const;

const zeros = "0".repeat(64);

/** @param key the columns of the primary key if it has several; the constraint is named after the table */
function table(
  schema: SchemaModule,
  name: string,
  columns: Columns,
  key?: readonly string[],
): CreateTableBuilder<string> {
  let made: CreateTableBuilder<string> = schema.createTable(name);
  for (const [column, spec] of Object.entries(columns)) {
    const [type, build] = Array.isArray(spec) ? (spec as [Type, Build]) : [spec as Type, required];
    made = made.addColumn(column, type, build);
  }
  return key === undefined ? made : made.addPrimaryKeyConstraint(`${name}_key`, key as never);
}

/** Adds a foreign key, so that rows are deleted together with the row of the other table that they refer to. */
function goesWith(
  made: CreateTableBuilder<string>,
  name: string,
  other: string,
  columns: readonly string[],
  key: readonly string[] = ["tenant", "id"],
) {
  const gone = (constraint: ForeignKeyConstraintBuilder) => constraint.onDelete("cascade");
  return made.addForeignKeyConstraint(name, columns as never, other, key as never, gone);
}

function index(schema: SchemaModule, name: string, on: string, columns: readonly string[]) {
  return schema
    .createIndex(name)
    .on(on)
    .columns([...columns]);
}

/** The tables of the first version. Each precedes the tables that it refers to. */
const initialTables = [
  "usage",
  "audit_log",
  "api_keys",
  "evidence_bundles",
  "anomaly_events",
  "anomaly_reports",
  "anomalies",
  "streams",
  "settings",
  "tenants",
];

function initial(kind: DatabaseKind): ReversibleMigration {
  return {
    loses: "everything: anomalies, streams, evidence, API keys, the audit log and usage",
    async down({ schema }: Kysely<unknown>) {
      for (const name of initialTables) await schema.dropTable(name).execute();
    },
    async up({ schema }: Kysely<unknown>) {
      await table(schema, "tenants", {
        id: ["text", primary],
        created_at: "bigint",
        audit_seq: ["bigint", (column) => column.notNull().defaultTo(0)],
        audit_hash: ["text", (column) => column.notNull().defaultTo(zeros)],
      }).execute();

      await table(schema, "settings", {
        hash: ["text", primary],
        body: "text",
        created_at: "bigint",
      }).execute();

      const streams = {
        tenant: "text",
        id: "text",
        key: "text",
        signal: "bigint",
        service: "text",
        state: "text",
        first_seen: "bigint",
        last_seen: "bigint",
        records: "bigint",
      } as const;
      await table(schema, "streams", streams, ["tenant", "id"]).execute();
      await index(schema, "streams_by_time", "streams", ["tenant", "first_seen", "id"]).execute();

      const anomalies: Columns = {
        tenant: "text",
        id: "text",
        stream_id: "text",
        stream: "text",
        service: "text",
        signal: "bigint",
        channels: "bigint",
        severity: "bigint",
        start_time: "bigint",
        end_time: "bigint",
        occurrences: "bigint",
        ended: "bigint",
        disposition: ["text", nullable],
        state: [
          "text",
          (column) =>
            column
              .notNull()
              .generatedAlwaysAs(sql`coalesce(disposition, case when ended = 1 then 'ended' else 'open' end)`)
              .stored(),
        ],
        recorded_at: "bigint",
        changed_at: "bigint",
      };
      await table(schema, "anomalies", anomalies, ["tenant", "id"]).execute();
      // Pages are ordered by (start_time, id), descending, over all anomalies or those that match one of these columns.
      for (const narrowed of [[], ["stream_id"], ["service"], ["state"]]) {
        const name = ["anomalies_by", ...narrowed, "time"].join("_");
        await index(schema, name, "anomalies", ["tenant", ...narrowed, "start_time", "id"]).execute();
      }
      await index(schema, "anomalies_by_change", "anomalies", ["tenant", "changed_at", "id"]).execute();

      const reports: Columns = {
        tenant: "text",
        anomaly_id: "text",
        hash: "text",
        record_hash: "text",
        settings_hash: ["text", (column) => column.notNull().references("settings.hash")],
        occurrence: "bigint",
        strength: "double precision",
        size: "bigint",
        text: "text",
        report: blob[kind],
      };
      const reportsTable = table(schema, "anomaly_reports", reports, ["tenant", "anomaly_id", "hash"]);
      await goesWith(reportsTable, "anomaly_reports_anomaly", "anomalies", [
        "tenant",
        "anomaly_id",
      ]).execute();
      await index(schema, "anomaly_reports_by_size", "anomaly_reports", [
        "tenant",
        "anomaly_id",
        "size",
      ]).execute();

      const events: Columns = {
        tenant: "text",
        anomaly_id: "text",
        seq: "bigint",
        state: "text",
        author: "text",
        time: "bigint",
        note: "text",
      };
      const eventsTable = table(schema, "anomaly_events", events, ["tenant", "anomaly_id", "seq"]);
      await goesWith(eventsTable, "anomaly_events_anomaly", "anomalies", ["tenant", "anomaly_id"]).execute();

      const bundles: Columns = {
        tenant: "text",
        id: "text",
        anomaly_id: ["text", nullable],
        author: "text",
        created_at: "bigint",
        size: "bigint",
        sha256: "text",
        location: "text",
      };
      await table(schema, "evidence_bundles", bundles, ["tenant", "id"]).execute();
      await index(schema, "evidence_bundles_by_time", "evidence_bundles", [
        "tenant",
        "created_at",
        "id",
      ]).execute();

      await table(schema, "api_keys", {
        id: ["text", primary],
        tenant: "text",
        name: "text",
        hash: "text",
        scopes: "text",
        created_by: "text",
        created_at: "bigint",
        expires_at: ["bigint", nullable],
        revoked_at: ["bigint", nullable],
        last_used_at: ["bigint", nullable],
      }).execute();
      await index(schema, "api_keys_by_tenant", "api_keys", ["tenant", "created_at", "id"]).execute();

      const log: Columns = {
        tenant: "text",
        seq: "bigint",
        previous_hash: "text",
        hash: "text",
        entry: "text",
      };
      await table(schema, "audit_log", log, ["tenant", "seq"]).execute();

      const usage: Columns = {
        tenant: "text",
        day: "text",
        requests: "bigint",
        records: "bigint",
        bytes: "bigint",
      };
      await table(schema, "usage", usage, ["tenant", "day"]).execute();
    },
  };
}

/** Adds the statistics of streams that the engine reports, and the history of streams over the last day. */
function streamStatistics(kind: DatabaseKind): ReversibleMigration {
  return {
    loses: "the statistics of streams and their history over the last day",
    async down({ schema }: Kysely<unknown>) {
      await schema.dropTable("stream_points").execute();
      for (const name of ["flagged", "progress", "baseline_at", "recorded_at", "told_at"]) {
        await schema.alterTable("streams").dropColumn(name).execute();
      }
    },
    async up(db: Kysely<unknown>) {
      const { schema } = db;
      const columns: Record<string, readonly [Type, Build]> = {
        flagged: ["bigint", (column) => column.notNull().defaultTo(0)],
        progress: ["double precision", (column) => column.notNull().defaultTo(0)],
        baseline_at: ["bigint", nullable],
        recorded_at: ["bigint", (column) => column.notNull().defaultTo(0)],
        told_at: ["bigint", (column) => column.notNull().defaultTo(0)],
      };
      for (const [name, [type, build]] of Object.entries(columns)) {
        await schema.alterTable("streams").addColumn(name, type, build).execute();
      }
      await sql`update streams set recorded_at = last_seen / 1000000, told_at = last_seen / 1000000,
      progress = case when state = 'learning' then 0 else 1 end`.execute(db);

      const points: Columns = {
        tenant: "text",
        stream_id: "text",
        slot: "bigint",
        time: "bigint",
        records: "bigint",
        flagged: "bigint",
        score: "double precision",
        channel: "bigint",
        p_value: "double precision",
      };
      const pointsTable = table(schema, "stream_points", points, ["tenant", "stream_id", "slot"]);
      const whole = goesWith(pointsTable, "stream_points_stream", "streams", ["tenant", "stream_id"]);
      // A row is little more than its key, which SQLite would otherwise store twice.
      await (kind === "sqlite" ? whole.modifyEnd(sql`without rowid`) : whole).execute();
    },
  };
}

/** Adds an index of bundles by anomaly, since an anomaly is kept as long as a bundle refers to it. */
const evidenceByAnomaly: ReversibleMigration = {
  loses: "nothing",
  async down({ schema }: Kysely<unknown>) {
    await schema.dropIndex("evidence_bundles_by_anomaly").execute();
  },
  async up({ schema }: Kysely<unknown>) {
    await index(schema, "evidence_bundles_by_anomaly", "evidence_bundles", [
      "tenant",
      "anomaly_id",
    ]).execute();
  },
};

const streamWithheld: ReversibleMigration = {
  loses: "how many alarms the budgets of streams withheld",
  async down({ schema }: Kysely<unknown>) {
    await schema.alterTable("streams").dropColumn("withheld").execute();
  },
  async up({ schema }: Kysely<unknown>) {
    const count: Build = (column) => column.notNull().defaultTo(0);
    await schema.alterTable("streams").addColumn("withheld", "bigint", count).execute();
  },
};

/** Adds the time of day that was confirmed last; see confirmed-time.ts. */
const clock: ReversibleMigration = {
  loses: "the last confirmed time of day; retention by age pauses for some hours",
  async down({ schema }: Kysely<unknown>) {
    await schema.dropTable("clock").execute();
  },
  async up({ schema }: Kysely<unknown>) {
    await table(schema, "clock", { id: ["bigint", primary], confirmed_at: "bigint" }).execute();
  },
};

/**
 * Records the API keys that exist in the audit log as they are. Keys that are created later are recorded completely
 * when they are created.
 */
const keysInAuditLog: ReversibleMigration = {
  loses: "nothing: the audit log keeps its entries",
  async down() {},
  async up(db: Kysely<unknown>) {
    const trx = db as unknown as Transaction<Tables>;
    const tenants = await trx.selectFrom("api_keys").select("tenant").distinct().orderBy("tenant").execute();
    for (const { tenant } of tenants) {
      for (const row of await readKeyRows(trx, tenant))
        await appendAudit(trx, tenant, recordedKey(row), Date.now());
    }
  },
};

/** Adds which reports show news, and makes the strengths of earlier reports smaller than those of later ones. */
const reportNews: ReversibleMigration = {
  loses: "which reports of anomalies show what no earlier one did",
  async down({ schema }: Kysely<unknown>) {
    await schema.alterTable("anomaly_reports").dropColumn("news").execute();
  },
  async up(db: Kysely<unknown>) {
    const none: Build = (column) => column.notNull().defaultTo(0);
    await db.schema.alterTable("anomaly_reports").addColumn("news", "bigint", none).execute();
    await sql`update anomaly_reports set strength = strength / (1 + strength)`.execute(db);
  },
};

const policiesAndSilences: ReversibleMigration = {
  loses: "the policies and silences that were set through the API",
  async down({ schema }: Kysely<unknown>) {
    await schema.dropTable("silences").execute();
    await schema.dropTable("policies").execute();
  },
  async up({ schema }: Kysely<unknown>) {
    await table(schema, "policies", {
      tenant: ["text", primary],
      policies: "text",
      author: "text",
      changed_at: "bigint",
    }).execute();
    const silences: Columns = {
      tenant: "text",
      id: "text",
      match: "text",
      starts_at: "bigint",
      ends_at: "bigint",
      reason: "text",
      author: "text",
      created_at: "bigint",
    };
    await table(schema, "silences", silences, ["tenant", "id"]).execute();
    await index(schema, "silences_by_end", "silences", ["ends_at"]).execute();
  },
};

const notifications: ReversibleMigration = {
  loses: "notifications that were not sent, and which incidents were notified",
  async down({ schema }: Kysely<unknown>) {
    await schema.dropTable("notification_hours").execute();
    await schema.dropTable("notifications").execute();
  },
  async up({ schema }: Kysely<unknown>) {
    const none: Build = (column) => column.notNull().defaultTo(0);
    const outbox: Columns = {
      tenant: "text",
      incident: "text",
      channel: "text",
      notice: "text",
      sent_notice: ["text", nullable],
      resolved: "bigint",
      revision: "bigint",
      sent_revision: ["bigint", none],
      attempts: ["bigint", none],
      held: ["text", (column) => column.notNull().defaultTo("")],
      changed_at: "bigint",
      sent_at: ["bigint", nullable],
      next_at: ["bigint", nullable],
    };
    await table(schema, "notifications", outbox, ["tenant", "incident", "channel"]).execute();
    await index(schema, "notifications_due", "notifications", ["channel", "next_at"]).execute();
    const hours: Columns = { channel: ["text", primary], started_at: "bigint", sent: "bigint" };
    await table(schema, "notification_hours", hours).execute();
  },
};

/** Adds incidents, what people said of them, and changes, which may have caused them. */
function incidents(kind: DatabaseKind): ReversibleMigration {
  const names = ["changes", "incident_events", "incident_anomalies", "incident_services", "incidents"];
  return {
    loses: "incidents with what people said of them, and changes",
    async down({ schema }: Kysely<unknown>) {
      for (const name of names) await schema.dropTable(name).execute();
    },
    async up({ schema }: Kysely<unknown>) {
      const columns: Columns = {
        tenant: "text",
        id: "text",
        start_time: "bigint",
        severity: "bigint",
        minor: "bigint",
        formed: "text",
        merged_into: ["text", nullable],
        disposition: ["text", nullable],
        expected_until: ["bigint", nullable],
        state: [
          "text",
          (column) =>
            column
              .notNull()
              .generatedAlwaysAs(
                sql`case when formed = 'merged' then formed else coalesce(disposition, formed) end`,
              )
              .stored(),
        ],
        members: "bigint",
        recorded_at: "bigint",
        changed_at: "bigint",
        summary: blob[kind],
        message: blob[kind],
      };
      await table(schema, "incidents", columns, ["tenant", "id"]).execute();
      await index(schema, "incidents_by_time", "incidents", ["tenant", "start_time", "id"]).execute();
      await index(schema, "incidents_by_change", "incidents", ["tenant", "changed_at", "id"]).execute();

      const own = ["tenant", "incident_id"];
      const services: Columns = { tenant: "text", incident_id: "text", service: "text" };
      const servicesTable = table(schema, "incident_services", services, [...own, "service"]);
      await goesWith(servicesTable, "incident_services_incident", "incidents", own).execute();

      const anomalies: Columns = { tenant: "text", incident_id: "text", anomaly_id: "text" };
      const anomaliesTable = table(schema, "incident_anomalies", anomalies, [...own, "anomaly_id"]);
      await goesWith(anomaliesTable, "incident_anomalies_incident", "incidents", own).execute();
      await index(schema, "incident_anomalies_by_anomaly", "incident_anomalies", [
        "tenant",
        "anomaly_id",
      ]).execute();

      const events: Columns = {
        tenant: "text",
        incident_id: "text",
        seq: "bigint",
        state: "text",
        until: ["bigint", nullable],
        author: "text",
        time: "bigint",
        note: "text",
      };
      const eventsTable = table(schema, "incident_events", events, [...own, "seq"]);
      await goesWith(eventsTable, "incident_events_incident", "incidents", own).execute();

      const changes: Columns = {
        tenant: "text",
        id: "text",
        time: "bigint",
        service: "text",
        recorded_at: "bigint",
        message: blob[kind],
      };
      await table(schema, "changes", changes, ["tenant", "id"]).execute();
      await index(schema, "changes_by_time", "changes", ["tenant", "time", "id"]).execute();
    },
  };
}

const sessions: ReversibleMigration = {
  loses: "the sessions of browsers, whose users log in again",
  async down({ schema }: Kysely<unknown>) {
    await schema.dropTable("sessions").execute();
  },
  async up({ schema }: Kysely<unknown>) {
    await table(schema, "sessions", {
      hash: ["text", primary],
      tenant: "text",
      key_id: "text",
      created_at: "bigint",
      expires_at: "bigint",
    }).execute();
    await index(schema, "sessions_by_key", "sessions", ["key_id", "created_at"]).execute();
    await index(schema, "sessions_by_end", "sessions", ["expires_at"]).execute();
  },
};

/** Sessions of keys have neither. */
const sessionsOfPeople: ReversibleMigration = {
  loses: "the sessions of people without keys, who log in again",
  async down(database: Kysely<unknown>) {
    await sql`delete from sessions where key_id = ''`.execute(database);
    for (const column of ["subject", "scopes"]) {
      await database.schema.alterTable("sessions").dropColumn(column).execute();
    }
  },
  async up({ schema }: Kysely<unknown>) {
    for (const column of ["subject", "scopes"]) {
      await schema.alterTable("sessions").addColumn(column, "text").execute();
    }
  },
};

/** Reports that were stored before stay without a trace. */
const reportTraces: ReversibleMigration = {
  loses: "which anomalies have traces in common",
  async down({ schema }: Kysely<unknown>) {
    await schema.dropIndex("anomaly_reports_by_trace").execute();
    await schema.alterTable("anomaly_reports").dropColumn("trace_id").execute();
  },
  async up({ schema }: Kysely<unknown>) {
    await schema.alterTable("anomaly_reports").addColumn("trace_id", "text").execute();
    await index(schema, "anomaly_reports_by_trace", "anomaly_reports", ["tenant", "trace_id"])
      .where(sql.ref("trace_id"), "is not", null)
      .execute();
  },
};
function notable(kind: DatabaseKind): ReversibleMigration {
  return {
    loses: "what was notable without being flagged",
    async down({ schema }: Kysely<unknown>) {
      await schema.dropTable("notable").execute();
    },
    async up({ schema }: Kysely<unknown>) {
      const columns: Columns = {
        tenant: "text",
        hour: "bigint",
        stream_id: "text",
        time: "bigint",
        margin: "double precision",
        recorded_at: "bigint",
        message: blob[kind],
      };
      await table(schema, "notable", columns, ["tenant", "hour", "stream_id"]).execute();
      await index(schema, "notable_by_margin", "notable", ["tenant", "margin", "time"]).execute();
      await index(schema, "notable_by_record", "notable", ["tenant", "recorded_at"]).execute();
    },
  };
}

function evidenceAndProofs(kind: DatabaseKind): ReversibleMigration {
  return {
    loses: "the bundles of evidence, and the recordings of anomalies",
    async down(db: Kysely<unknown>) {
      const { schema } = db;
      // Their bytes go with the table.
      await sql`delete from evidence_bundles where location = 'database'`.execute(db);
      for (const name of ["recordings", "evidence_files", "audit_checkpoints", "audit_nodes"]) {
        await schema.dropTable(name).execute();
      }
      await schema.alterTable("evidence_bundles").dropColumn("incident_id").execute();
    },
    async up({ schema }: Kysely<unknown>) {
      const nodes: Columns = {
        tenant: "text",
        level: "bigint",
        position: "bigint",
        hash: "text",
        target: ["text", nullable],
      };
      await table(schema, "audit_nodes", nodes, ["tenant", "level", "position"]).execute();
      await index(schema, "audit_nodes_by_target", "audit_nodes", ["tenant", "target", "position"])
        .where(sql.ref("target"), "is not", null)
        .execute();
      await table(schema, "audit_checkpoints", {
        tenant: ["text", primary],
        size: "bigint",
        note: "text",
      }).execute();

      await schema.alterTable("evidence_bundles").addColumn("incident_id", "text").execute();
      const own = ["tenant", "bundle_id"];
      const files: Columns = { tenant: "text", bundle_id: "text", bytes: blob[kind] };
      const filesTable = table(schema, "evidence_files", files, own);
      await goesWith(filesTable, "evidence_files_bundle", "evidence_bundles", own).execute();

      const recordings: Columns = {
        tenant: "text",
        anomaly_id: "text",
        recorded_at: "bigint",
        size: "bigint",
        data: blob[kind],
      };
      const anomaly = ["tenant", "anomaly_id"];
      const recordingsTable = table(schema, "recordings", recordings, anomaly);
      await goesWith(recordingsTable, "recordings_anomaly", "anomalies", anomaly).execute();
      await index(schema, "recordings_by_time", "recordings", [
        "tenant",
        "recorded_at",
        "anomaly_id",
        "size",
      ]).execute();
    },
  };
}

/** What people enter about the reports of an incident. */
const incidentReports: ReversibleMigration = {
  loses: "what people entered about reports to authorities",
  async down({ schema }: Kysely<unknown>) {
    await schema.dropTable("incident_reports").execute();
  },
  async up({ schema }: Kysely<unknown>) {
    const columns: Columns = {
      tenant: "text",
      incident_id: "text",
      entered: "text",
      author: "text",
      changed_at: "bigint",
    };
    const own = ["tenant", "incident_id"];
    const made = table(schema, "incident_reports", columns, own);
    await goesWith(made, "incident_reports_incident", "incidents", own).execute();
  },
};

function llmCalls(kind: DatabaseKind): ReversibleMigration {
  return {
    loses: "the calls of language models",
    async down({ schema }: Kysely<unknown>) {
      await schema.dropTable("llm_calls").execute();
    },
    async up({ schema }: Kysely<unknown>) {
      const columns: Columns = {
        tenant: "text",
        id: "text",
        conversation_id: "text",
        conversation: "text",
        service: "text",
        agent: "text",
        model: "text",
        operation: "text",
        time: "bigint",
        end_time: "bigint",
        input_tokens: ["bigint", nullable],
        output_tokens: ["bigint", nullable],
        cost: ["double precision", nullable],
        tool_calls: "bigint",
        failed: "bigint",
        flagged: "bigint",
        recorded_at: "bigint",
        message: blob[kind],
      };
      await table(schema, "llm_calls", columns, ["tenant", "id"]).execute();
      const byConversation = ["tenant", "conversation_id", "time", "id"];
      await index(schema, "llm_calls_by_conversation", "llm_calls", byConversation).execute();
      await index(schema, "llm_calls_by_record", "llm_calls", ["tenant", "recorded_at", "id"]).execute();
    },
  };
}

/** What incidents are computed again from. */
function incidentBases(kind: DatabaseKind): ReversibleMigration {
  return {
    loses: "what incidents are computed again from",
    async down({ schema }: Kysely<unknown>) {
      await schema.dropTable("incident_bases").execute();
    },
    async up({ schema }: Kysely<unknown>) {
      const columns: Columns = {
        tenant: "text",
        incident_id: "text",
        recorded_at: "bigint",
        size: "bigint",
        data: blob[kind],
      };
      const own = ["tenant", "incident_id"];
      const made = table(schema, "incident_bases", columns, own);
      await goesWith(made, "incident_bases_incident", "incidents", own).execute();
      await index(schema, "incident_bases_by_time", "incident_bases", [
        "tenant",
        "recorded_at",
        "incident_id",
        "size",
      ]).execute();
    },
  };
}
const billing: ReversibleMigration = {
  loses: "tenants' subscriptions, usage that was not reported yet, and what was reported",
  async down({ schema }: Kysely<unknown>) {
    await schema.dropTable("usage_events").execute();
    await schema.dropTable("subscriptions").execute();
    for (const column of reportedColumns) await schema.alterTable("usage").dropColumn(column).execute();
  },
  async up({ schema }: Kysely<unknown>) {
    const zero: Build = (column) => column.notNull().defaultTo(0);
    for (const column of reportedColumns) {
      await schema.alterTable("usage").addColumn(column, "bigint", zero).execute();
    }
    await table(schema, "subscriptions", {
      tenant: ["text", primary],
      id: "text",
      customer: "text",
      plan: "text",
      active: "bigint",
      changed_at: "bigint",
    }).execute();
    await table(schema, "usage_events", {
      id: ["text", primary],
      tenant: "text",
      customer: "text",
      meter: "text",
      time: "bigint",
      value: "bigint",
      state: ["text", (column) => column.notNull().defaultTo("due")],
      attempts: ["bigint", zero],
      unclear_since: ["bigint", nullable],
      next_at: "bigint",
      changed_at: "bigint",
    }).execute();
    await index(schema, "usage_events_by_state", "usage_events", ["state", "next_at", "id"]).execute();
  },
};

const reportedColumns = ["reported_requests", "reported_records", "reported_bytes"];

/** Decisions of people are read in their order. */
const judgementsByTime: ReversibleMigration = {
  loses: "nothing",
  async down({ schema }: Kysely<unknown>) {
    for (const name of ["anomaly", "incident"]) await schema.dropIndex(`${name}_events_by_time`).execute();
  },
  async up({ schema }: Kysely<unknown>) {
    for (const name of ["anomaly", "incident"]) {
      await index(schema, `${name}_events_by_time`, `${name}_events`, ["time"]).execute();
    }
  },
};

/** How far logs have been stored. */
function logPositions(kind: DatabaseKind): ReversibleMigration {
  return {
    loses: "how far the topics of Kafka have been stored, so that statistics of streams would be added again",
    async down({ schema }: Kysely<unknown>) {
      await schema.dropTable("log_positions").execute();
    },
    async up({ schema }: Kysely<unknown>) {
      const columns: Columns = { topic: "text", number: "integer", position: "bigint", state: blob[kind] };
      await table(schema, "log_positions", columns, ["topic", "number"]).execute();
    },
  };
}

/** What later reports of anomalies are computed again from, as `recordings` has it of the first ones. */
function reportRecordings(kind: DatabaseKind): ReversibleMigration {
  return {
    loses: "the recordings of reports after the first of an anomaly",
    async down({ schema }: Kysely<unknown>) {
      await schema.dropTable("report_recordings").execute();
    },
    async up({ schema }: Kysely<unknown>) {
      const columns: Columns = {
        tenant: "text",
        anomaly_id: "text",
        hash: "text",
        recorded_at: "bigint",
        size: "bigint",
        data: blob[kind],
      };
      const report = ["tenant", "anomaly_id", "hash"];
      const made = table(schema, "report_recordings", columns, report);
      await goesWith(made, "report_recordings_report", "anomaly_reports", report, report).execute();
      await index(schema, "report_recordings_by_time", "report_recordings", [
        "tenant",
        "recorded_at",
        "anomaly_id",
        "hash",
        "size",
      ]).execute();
    },
  };
}

/** The budgets of alarms that the processes of an installation share. */
function alarmBudgets(kind: DatabaseKind): ReversibleMigration {
  return {
    loses: "what several processes have spent of their common budgets of alarms, which begin full",
    async down({ schema }: Kysely<unknown>) {
      await schema.dropTable("paid_alarms").execute();
      await schema.dropTable("alarm_budgets").execute();
    },
    async up({ schema }: Kysely<unknown>) {
      await table(schema, "alarm_budgets", {
        installation: ["text", primary],
        time: "bigint",
        state: blob[kind],
      }).execute();
      const columns: Columns = { tenant: "text", anomaly_id: "text", paid_at: "bigint" };
      await table(schema, "paid_alarms", columns, ["tenant", "anomaly_id"]).execute();
      await index(schema, "paid_alarms_by_time", "paid_alarms", ["paid_at"]).execute();
    },
  };
}

export function migrations(kind: DatabaseKind): {
  getMigrations(): Promise<Record<string, ReversibleMigration>>;
} {
  return {
    getMigrations: async () => ({
      "001_initial": initial(kind),
      "002_stream_figures": streamStatistics(kind),
      "003_evidence_by_anomaly": evidenceByAnomaly,
      "004_stream_withheld": streamWithheld,
      "005_clock": clock,
      "006_keys_in_audit_log": keysInAuditLog,
      "007_report_news": reportNews,
      "008_policies_and_silences": policiesAndSilences,
      "009_notifications": notifications,
      "010_incidents": incidents(kind),
      "011_sessions": sessions,
      "012_report_traces": reportTraces,
      "013_notable": notable(kind),
      "014_evidence": evidenceAndProofs(kind),
      "015_sessions_of_people": sessionsOfPeople,
      "016_incident_reports": incidentReports,
      "017_llm_calls": llmCalls(kind),
      "018_incident_bases": incidentBases(kind),
      "019_billing": billing,
      "020_judgements_by_time": judgementsByTime,
      "021_log_positions": logPositions(kind),
      "022_report_recordings": reportRecordings(kind),
      "023_alarm_budgets": alarmBudgets(kind),
    }),
  };
}
