import { Socket } from "node:net";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import type { Tables } from "./tables.ts";

const connectMs = 3_000;
/** The server gives up a statement, then the client gives up the connection. */
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
    ...(timeouts ? { statement_timeout: statementMs } : {}),
  });
  if (timeouts) pool.on("connect", giveUpSilence);
  // A connection that breaks is replaced by the next query, and the one in work fails; unheard, the events would end the
  // process: of one that is idle the pool's, of one at work its own.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
}

/**
 * A server that froze, or a network that swallows packets, leaves a connection on which nothing ever comes. To give up the query
 * alone would put that connection back among the good ones. One without a query is closed by the pool in half the time.
 */
function giveUpSilence({ connection: { stream } }: pg.PoolClient): void {
  if (!(stream instanceof Socket)) return;
  const silence = new Error(`Connection terminated: no answer for ${answerMs / 1_000} s`);
  stream.setTimeout(answerMs, () => stream.destroy(silence));
}

/** The URL without user, password and options. */
export function postgresPlace(url: string): string {
  const { host, pathname } = new URL(url);
  return `postgres://${host}${pathname}`;
}
