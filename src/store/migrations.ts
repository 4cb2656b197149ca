/** The one history of the schema, for both databases. A migration that was released is never changed: add another. */
import { type Kysely, sql } from "kysely";
import type { Migration, MigrationProvider } from "kysely/migration";

export type DatabaseKind = "sqlite" | "postgres";

/** Names of the two databases for the same thing. */
const blob = { sqlite: "blob", postgres: "bytea" } as const;

const zeros = "0".repeat(64);

function initial(kind: DatabaseKind): Migration {
  return {
    async up(db: Kysely<unknown>) {
      const { schema } = db;
      await schema
        .createTable("tenants")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("created_at", "bigint", (column) => column.notNull())
        .addColumn("audit_seq", "bigint", (column) => column.notNull().defaultTo(0))
        .addColumn("audit_hash", "text", (column) => column.notNull().defaultTo(zeros))
        .execute();

      await schema
        .createTable("settings")
        .addColumn("hash", "text", (column) => column.primaryKey())
        .addColumn("body", "text", (column) => column.notNull())
        .addColumn("created_at", "bigint", (column) => column.notNull())
        .execute();

      await schema
        .createTable("streams")
        .addColumn("tenant", "text", (column) => column.notNull())
        .addColumn("id", "text", (column) => column.notNull())
        .addColumn("key", "text", (column) => column.notNull())
        .addColumn("signal", "bigint", (column) => column.notNull())
        .addColumn("service", "text", (column) => column.notNull())
        .addColumn("state", "text", (column) => column.notNull())
        .addColumn("first_seen", "bigint", (column) => column.notNull())
        .addColumn("last_seen", "bigint", (column) => column.notNull())
        .addColumn("records", "bigint", (column) => column.notNull())
        .addPrimaryKeyConstraint("streams_key", ["tenant", "id"])
        .execute();
      await schema
        .createIndex("streams_by_time")
        .on("streams")
        .columns(["tenant", "first_seen", "id"])
        .execute();

      await schema
        .createTable("anomalies")
        .addColumn("tenant", "text", (column) => column.notNull())
        .addColumn("id", "text", (column) => column.notNull())
        .addColumn("stream_id", "text", (column) => column.notNull())
        .addColumn("stream", "text", (column) => column.notNull())
        .addColumn("service", "text", (column) => column.notNull())
        .addColumn("signal", "bigint", (column) => column.notNull())
        .addColumn("channels", "bigint", (column) => column.notNull())
        .addColumn("severity", "bigint", (column) => column.notNull())
        .addColumn("start_time", "bigint", (column) => column.notNull())
        .addColumn("end_time", "bigint", (column) => column.notNull())
        .addColumn("occurrences", "bigint", (column) => column.notNull())
        .addColumn("ended", "bigint", (column) => column.notNull())
        .addColumn("disposition", "text")
        .addColumn("state", "text", (column) =>
          column
            .notNull()
            .generatedAlwaysAs(sql`coalesce(disposition, case when ended = 1 then 'ended' else 'open' end)`)
            .stored(),
        )
        .addColumn("recorded_at", "bigint", (column) => column.notNull())
        .addColumn("changed_at", "bigint", (column) => column.notNull())
        .addPrimaryKeyConstraint("anomalies_key", ["tenant", "id"])
        .execute();
      // Pages go by (start_time, id), downwards, over everything or one of these.
      for (const narrowed of [[], ["stream_id"], ["service"], ["state"]]) {
        await schema
          .createIndex(["anomalies_by", ...narrowed, "time"].join("_"))
          .on("anomalies")
          .columns(["tenant", ...narrowed, "start_time", "id"])
          .execute();
      }
      await schema
        .createIndex("anomalies_by_change")
        .on("anomalies")
        .columns(["tenant", "changed_at", "id"])
        .execute();

      await schema
        .createTable("anomaly_reports")
        .addColumn("tenant", "text", (column) => column.notNull())
        .addColumn("anomaly_id", "text", (column) => column.notNull())
        .addColumn("hash", "text", (column) => column.notNull())
        .addColumn("record_hash", "text", (column) => column.notNull())
        .addColumn("settings_hash", "text", (column) => column.notNull().references("settings.hash"))
        .addColumn("occurrence", "bigint", (column) => column.notNull())
        .addColumn("strength", "double precision", (column) => column.notNull())
        .addColumn("size", "bigint", (column) => column.notNull())
        .addColumn("text", "text", (column) => column.notNull())
        .addColumn("report", sql.raw(blob[kind]), (column) => column.notNull())
        .addPrimaryKeyConstraint("anomaly_reports_key", ["tenant", "anomaly_id", "hash"])
        .addForeignKeyConstraint(
          "anomaly_reports_anomaly",
          ["tenant", "anomaly_id"],
          "anomalies",
          ["tenant", "id"],
          (constraint) => constraint.onDelete("cascade"),
        )
        .execute();
      await schema
        .createIndex("anomaly_reports_by_size")
        .on("anomaly_reports")
        .columns(["tenant", "anomaly_id", "size"])
        .execute();

      await schema
        .createTable("anomaly_events")
        .addColumn("tenant", "text", (column) => column.notNull())
        .addColumn("anomaly_id", "text", (column) => column.notNull())
        .addColumn("seq", "bigint", (column) => column.notNull())
        .addColumn("state", "text", (column) => column.notNull())
        .addColumn("author", "text", (column) => column.notNull())
        .addColumn("time", "bigint", (column) => column.notNull())
        .addColumn("note", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("anomaly_events_key", ["tenant", "anomaly_id", "seq"])
        .addForeignKeyConstraint(
          "anomaly_events_anomaly",
          ["tenant", "anomaly_id"],
          "anomalies",
          ["tenant", "id"],
          (constraint) => constraint.onDelete("cascade"),
        )
        .execute();

      await schema
        .createTable("evidence_bundles")
        .addColumn("tenant", "text", (column) => column.notNull())
        .addColumn("id", "text", (column) => column.notNull())
        .addColumn("anomaly_id", "text")
        .addColumn("author", "text", (column) => column.notNull())
        .addColumn("created_at", "bigint", (column) => column.notNull())
        .addColumn("size", "bigint", (column) => column.notNull())
        .addColumn("sha256", "text", (column) => column.notNull())
        .addColumn("location", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("evidence_bundles_key", ["tenant", "id"])
        .execute();
      await schema
        .createIndex("evidence_bundles_by_time")
        .on("evidence_bundles")
        .columns(["tenant", "created_at", "id"])
        .execute();

      await schema
        .createTable("api_keys")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("tenant", "text", (column) => column.notNull())
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("hash", "text", (column) => column.notNull())
        .addColumn("scopes", "text", (column) => column.notNull())
        .addColumn("created_by", "text", (column) => column.notNull())
        .addColumn("created_at", "bigint", (column) => column.notNull())
        .addColumn("expires_at", "bigint")
        .addColumn("revoked_at", "bigint")
        .addColumn("last_used_at", "bigint")
        .execute();
      await schema
        .createIndex("api_keys_by_tenant")
        .on("api_keys")
        .columns(["tenant", "created_at", "id"])
        .execute();

      await schema
        .createTable("audit_log")
        .addColumn("tenant", "text", (column) => column.notNull())
        .addColumn("seq", "bigint", (column) => column.notNull())
        .addColumn("previous_hash", "text", (column) => column.notNull())
        .addColumn("hash", "text", (column) => column.notNull())
        .addColumn("entry", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("audit_log_key", ["tenant", "seq"])
        .execute();

      await schema
        .createTable("usage")
        .addColumn("tenant", "text", (column) => column.notNull())
        .addColumn("day", "text", (column) => column.notNull())
        .addColumn("requests", "bigint", (column) => column.notNull())
        .addColumn("records", "bigint", (column) => column.notNull())
        .addColumn("bytes", "bigint", (column) => column.notNull())
        .addPrimaryKeyConstraint("usage_key", ["tenant", "day"])
        .execute();
    },
  };
}

export function migrations(kind: DatabaseKind): MigrationProvider {
  return { getMigrations: async () => ({ "001_initial": initial(kind) }) };
}
