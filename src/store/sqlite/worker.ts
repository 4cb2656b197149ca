/** The thread that owns one connection to the SQLite file: what blocks here does not block the event loop. */
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";

export interface Opening {
  file: string;
  readOnly: boolean;
}

export type Job =
  | { id: number; sql: string; parameters: readonly unknown[]; counts: boolean }
  /** Closes the connection and ends the thread. */
  | { id: number; close: true };

export type Result =
  | { id: number; rows: unknown[]; changes?: bigint }
  | { id: number; failure: string; errcode: number };

/** So long for another connection to finish its transaction. */
const busyMs = 10_000;
/** SQLITE_MISMATCH */
const mismatch = 20;
/** Statements kept prepared. */
const maxPrepared = 128;

function open({ file, readOnly }: Opening): DatabaseSync {
  const db = new DatabaseSync(file, { readOnly });
  db.exec(`pragma busy_timeout = ${busyMs}; pragma foreign_keys = on; pragma trusted_schema = off`);
  if (!readOnly) {
    // The first statement only matters before there is a table. FULL: what was committed survives a loss of power.
    db.exec("pragma auto_vacuum = incremental; pragma journal_mode = wal; pragma synchronous = full");
    db.exec(`pragma journal_size_limit = ${64 * 2 ** 20}`);
  }
  return db;
}

const port = parentPort!;
const db = open(workerData as Opening);
const prepared = new Map<string, StatementSync>();
const changes = prepare("select changes() as n");

function prepare(sql: string): StatementSync {
  const statement = db.prepare(sql);
  // Nanoseconds since 1970 are beyond the safe integers.
  statement.setReadBigInts(true);
  return statement;
}

function statementFor(sql: string): StatementSync {
  const known = prepared.get(sql);
  if (known !== undefined) prepared.delete(sql);
  const statement = known ?? prepare(sql);
  prepared.set(sql, statement);
  if (prepared.size > maxPrepared) prepared.delete(prepared.keys().next().value!);
  return statement;
}

port.on("message", (job: Job) => {
  const { id } = job;
  try {
    if ("close" in job) {
      prepared.clear();
      db.close();
      port.postMessage({ id, rows: [] } satisfies Result);
      port.close();
      return;
    }
    const rows = statementFor(job.sql).all(...(job.parameters as SQLInputValue[]));
    const result: Result = { id, rows };
    if (job.counts) result.changes = (changes.get() as { n: bigint }).n;
    port.postMessage(result);
  } catch (error) {
    const { message, errcode } = error as Error & { errcode?: number };
    // What SQLite did not refuse, its binding did: a parameter that is no value of a column.
    port.postMessage({ id, failure: message, errcode: errcode ?? mismatch } satisfies Result);
  }
});
