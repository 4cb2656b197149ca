import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import type { Tables } from "./tables.ts";

const connectMs = 3_000;
/** The server gives up a statement, then the client gives up the server. */
const statementMs = 15_000;
const answerMs = 20_000;

const int8 = 20;

/** Integers of 64 bits come as bigints, not as text. */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: "text") =>
    oid === int8 ? BigInt : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
};

/** Connects with the first query. */
export function connectPostgres(
  url: string,
  { connections, timeouts }: { connections: number; timeouts: boolean },
): Kysely<Tables> {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: "driftlock",
    max: connections,
    connectionTimeoutMillis: connectMs,
    keepAlive: true,
    types,
    ...(timeouts ? { statement_timeout: statementMs, query_timeout: answerMs } : {}),
  });
  // An idle connection that breaks is replaced by the next query; unheard, the event would end the process.
  pool.on("error", () => {});
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
}

/** The URL without user, password and options. */
export function postgresPlace(url: string): string {
  const { host, pathname } = new URL(url);
  return `postgres://${host}${pathname}`;
}
