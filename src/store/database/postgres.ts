import { Socket } from "node:net";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import type { Tables } from "./tables.ts";

const connectMs = 3_000;
/** The server cancels a statement after this time; if it does not, the client closes the connection later. */
const statementMs = 15_000;
const answerMs = 20_000;

const int8 = 20;

/** Parses integers of 64 bits as bigints instead of text. */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: "text") =>
    oid === int8 ? BigInt : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
};

/** Returns a database that connects with its first query. */
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
    ...(timeouts ? { statement_timeout: statementMs } : {}),
  });
  if (timeouts) pool.on("connect", closeIfSilent);
  // If a connection breaks, the query that uses it fails, and the next query opens another one. Without listeners, the
  // events would end the process: the pool emits those of idle connections, and a connection in use its own.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
}

/**
 * Closes a connection on which nothing was received for too long, because the server froze or the network drops packets.
 * If only the query were abandoned, the connection would return to the pool as if it worked. The pool closes idle
 * connections in half the time.
 */
function closeIfSilent({ connection: { stream } }: pg.PoolClient): void {
  if (!(stream instanceof Socket)) return;
  const silence = new Error(`Connection terminated: no answer for ${answerMs / 1_000} s`);
  stream.setTimeout(answerMs, () => stream.destroy(silence));
}

/** Returns the URL without user, password and options. */
export function postgresPlace(url: string): string {
  const { host, pathname } = new URL(url);
  return `postgres://${host}${pathname}`;
}
