/** Pages by key: a page continues after the last row of the previous one, whatever was added meanwhile. */
import { type SelectQueryBuilder, sql } from "kysely";
import { InvalidArgument } from "./database/errors.ts";

export interface PageRequest {
  /** The number of rows: at most 1,000, and 100 by default. */
  limit?: number;
  /** `next` of the previous page. */
  after?: string;
}

export interface Page<T> {
  items: T[];
  /** Set if there are more rows. */
  next?: string;
}

export const maxPage = 1_000;

/** @throws {InvalidArgument} */
export function pageLimit({ limit = 100 }: PageRequest): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > maxPage) {
    throw new InvalidArgument("limit", `must be a whole number from 1 to ${maxPage}`);
  }
  return limit;
}

/** The position at which a page ended: a 64-bit integer, and a text that makes it unique. */
export interface Position {
  major: bigint;
  minor: string;
}

/** @throws {InvalidArgument} */
export function parsePosition({ after }: PageRequest): Position | undefined {
  if (after === undefined) return undefined;
  const text = after.length <= 512 ? Buffer.from(after, "base64url").toString() : "";
  const [, major, minor] = /^(-?\d{1,19}) ([^\0]{1,256})$/s.exec(text) ?? [];
  if (major === undefined || minor === undefined || BigInt.asIntN(64, BigInt(major)) !== BigInt(major)) {
    throw new InvalidArgument("after", "is not the cursor of a page; use `next` of the previous page");
  }
  return { major: BigInt(major), minor };
}

export function cursorOf({ major, minor }: Position): string {
  return Buffer.from(`${major} ${minor}`).toString("base64url");
}

/** @param rows one more than `limit` if there are more */
export function toPage<R, T>(
  rows: readonly R[],
  limit: number,
  position: (row: R) => Position,
  item: (row: R) => T,
): Page<T> {
  const items = rows.slice(0, limit).map(item);
  if (rows.length <= limit) return { items };
  return { items, next: cursorOf(position(rows[limit - 1]!)) };
}

/**
 * Returns a page of the query's rows, latest `time` first; rows of the same time are ordered by id.
 * @throws {InvalidArgument}
 */
export async function latestFirst<
  DB,
  T extends keyof DB,
  C extends string,
  R extends Record<C, bigint> & { id: string },
>(query: SelectQueryBuilder<DB, T, R>, time: C, request: PageRequest): Promise<Page<R>> {
  const limit = pageLimit(request);
  const position = parsePosition(request);
  const [major, minor] = [sql.ref(time), sql.ref("id")];
  let page = query
    .orderBy(major, "desc")
    .orderBy(minor, "desc")
    .limit(limit + 1);
  if (position)
    page = page.where(sql<boolean>`(${major}, ${minor}) < (${position.major}, ${position.minor})`);
  return toPage(
    (await page.execute()) as R[],
    limit,
    (row) => ({ major: row[time], minor: row.id }),
    (row) => row,
  );
}
