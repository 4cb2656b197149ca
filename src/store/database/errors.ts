import { SqliteError } from "./sqlite/connection.ts";

/** The database cannot be used at present. A later attempt may succeed. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}

/** Data that the database rejected on another thread. */
export class RefusedData extends Error {
  override readonly name = "RefusedData";
}

/** An argument that the store does not accept. */
export class InvalidArgument extends Error {
  override readonly name = "InvalidArgument";
  /** The name of the argument. */
  readonly field: string;

  constructor(field: string, message: string) {
    super(`${field}: ${message}`);
    this.field = field;
  }
}

/** SQLITE_TOOBIG, SQLITE_CONSTRAINT and SQLITE_MISMATCH: the data cannot be stored. */
const sqliteBadData: ReadonlySet<number> = new Set([18, 19, 20]);
/** SQLITE_ERROR and SQLITE_MISUSE: a statement of Driftlock is wrong. */
const sqliteWrong: ReadonlySet<number> = new Set([1, 21]);
/** SQLITE_PERM, SQLITE_READONLY, SQLITE_CANTOPEN and SQLITE_AUTH: the process may not use the file. */
const sqliteRefused: ReadonlySet<number> = new Set([3, 8, 14, 23]);

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** Returns whether the database rejected the data itself, so that another attempt would fail as well. */
export function isBadData(error: unknown): boolean {
  if (error instanceof InvalidArgument || error instanceof RefusedData) return true;
  if (error instanceof SqliteError) return sqliteBadData.has((error.errcode ?? 0) & 0xff);
  // SQLSTATE classes: data exception, integrity constraint violation, program limit exceeded.
  return /^(22|23|54)...$/.test(codeOf(error));
}

/** Returns whether the file is damaged or is not a database: SQLITE_CORRUPT or SQLITE_NOTADB. */
export function isDamaged(error: unknown): boolean {
  return error instanceof SqliteError && [11, 26].includes((error.errcode ?? 0) & 0xff);
}

/**
 * Returns whether the database denies access. At startup this is a mistake in the configuration; later it may be
 * temporary.
 */
export function isRefused(error: unknown): boolean {
  if (error instanceof SqliteError) return sqliteRefused.has((error.errcode ?? 0) & 0xff);
  // Errors of file access, and the SQLSTATE classes invalid authorization and invalid catalog name.
  return /^(E(ACCES|PERM|ROFS|EXIST|ISDIR|NOTDIR|LOOP|NAMETOOLONG)|(28|3D)...)$/.test(codeOf(error));
}

/**
 * Returns whether the database is unreachable, full, damaged or overloaded. The operation may be retried, and API
 * clients receive 503.
 */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof StoreUnavailable) return true;
  if (error instanceof SqliteError) return !isBadData(error) && !sqliteWrong.has((error.errcode ?? 0) & 0xff);
  const code = codeOf(error);
  // SQLSTATE classes: connection, transaction rollback, insufficient resources, operator intervention, system error; and
  // read_only_sql_transaction, which a standby returns.
  if (/^(08|40|53|57|58)...$|^25006$/.test(code) || /^E[A-Z]+$/.test(code) || isRefused(error)) return true;
  // The messages of pg that have no code.
  return (
    error instanceof Error &&
    /^(Connection terminated|timeout exceeded|Query read timeout|Client has encountered|Cannot use a pool)/.test(
      error.message,
    )
  );
}

/** Returns the error as one line. For an AggregateError, which Node's sockets throw, it describes the first error. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  return error instanceof Error ? error.message || codeOf(error) || error.name : String(error);
}
