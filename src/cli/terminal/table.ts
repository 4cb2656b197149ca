import { columnsOf, cut } from "./cells.ts";

const gap = "  ";
/** Of a cell; the last column is as long as its text. */
const maxColumns = 48;

/** Lines under a head; text of others is made safe for a terminal. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) =>
    row.map((text, i) => cut(text, i < head.length - 1 ? maxColumns : 10 * maxColumns)),
  );
  const widths = head.map((_, i) => Math.max(...cells.map((row) => columnsOf(row[i]!))));
  const line = (row: readonly string[]) =>
    row
      .map((text, i) => text + " ".repeat(widths[i]! - columnsOf(text)))
      .join(gap)
      .trimEnd();
  return cells.map((row) => `${line(row)}\n`).join("");
}
