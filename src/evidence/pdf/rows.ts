/** Tables of which only the first rows are shown: the embedded bundle has them all. */
import { type Column, colors, type Paper } from "./paper.ts";

const mostRows = 60;

/** Draws the first rows. @param what names the rows, so that the number of those left out is told; by default it is not */
export function drawRows<Row>(
  paper: Paper,
  columns: readonly Column[],
  rows: readonly Row[],
  cells: (row: Row) => string[],
  what?: string,
): void {
  paper.table(columns, rows.slice(0, mostRows).map(cells));
  if (what !== undefined) drawLeftOut(paper, rows.length - mostRows, what);
}

/** Says how many more there are, if there are any. */
export function drawLeftOut(paper: Paper, left: number, what: string): void {
  if (left <= 0) return;
  const verb = left === 1 ? "is" : "are";
  paper.paragraph(`${left} more ${what} ${verb} in the embedded bundle.`, { size: 8, color: colors.muted });
}
