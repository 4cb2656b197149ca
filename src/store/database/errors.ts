import { SqliteError } from "./sqlite/connection.ts";

/** The database cannot be used now; it may be later. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}

/** Data that the database refused, in another thread. */
export class RefusedData extends Error {
  override readonly name = "RefusedData";
}

/** An argument that the store does not take. */
export class InvalidArgument extends Error {
  override readonly name = "InvalidArgument";
  /** Name of the argument. */
  readonly field: string;

  constructor(field: string, message: string) {
    super(`${field}: ${message}`);
    this.field = field;
  }
}

/** SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH */
const sqliteBadData: ReadonlySet<number> = new Set([18, 19, 20]);
/** SQLITE_ERROR and SQLITE_MISUSE: a statement of ours is wrong. */
const sqliteWrong: ReadonlySet<number> = new Set([1, 21]);
/** SQLITE_PERM, SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_AUTH: whoever runs us has not given us the file. */
const sqliteRefused: ReadonlySet<number> = new Set([3, 8, 14, 23]);

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** The database refused the data themselves: to try again would not help. */
export function isBadData(error: unknown): boolean {
  if (error instanceof InvalidArgument || error instanceof RefusedData) return true;
  if (error instanceof SqliteError) return sqliteBadData.has((error.errcode ?? 0) & 0xff);
  // SQLSTATE classes: data exception, integrity constraint violation, program limit exceeded.
  return /^(22|23|54)...$/.test(codeOf(error));
}

/** SQLITE_CORRUPT and SQLITE_NOTADB */
export function isDamaged(error: unknown): boolean {
  return error instanceof SqliteError && [11, 26].includes((error.errcode ?? 0) & 0xff);
}

/** It does not let us in: at the start a mistake in the configuration, later something that may pass. */
export function isRefused(error: unknown): boolean {
  if (error instanceof SqliteError) return sqliteRefused.has((error.errcode ?? 0) & 0xff);
  // No rights to the file. SQLSTATE: invalid authorization, invalid catalog name.
  return /^(E(ACCES|PERM|ROFS|EXIST|ISDIR|NOTDIR|LOOP|NAMETOOLONG)|(28|3D)...)$/.test(codeOf(error));
}

/** The database is away, full, damaged or overloaded: worth another try, and a 503 to who asked. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof StoreUnavailable) return true;
  if (error instanceof SqliteError) return !isBadData(error) && !sqliteWrong.has((error.errcode ?? 0) & 0xff);
  const code = codeOf(error);
  // SQLSTATE classes: connection, transaction rollback, insufficient resources, operator intervention, system error; and
  // read_only_sql_transaction, as a standby says.
  if (/^(08|40|53|57|58)...$|^25006$/.test(code) || /^E[A-Z]+$/.test(code) || isRefused(error)) return true;
  // What pg says without a code.
  return (
    error instanceof Error &&
    /^(Connection terminated|timeout exceeded|Query read timeout|Client has encountered|Cannot use a pool)/.test(
      error.message,
    )
  );
}

/** One line for people; an AggregateError of Node's network says its first. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  return error instanceof Error ? error.message || codeOf(error) || error.name : String(error);
}
