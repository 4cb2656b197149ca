import { columnsOf, truncate } from "./cells.ts";

const gap = "  ";
/** Maximum width of a cell. Cells of the last column may be ten times as wide. */
const maxColumns = 48;

/** Formats rows under a head. Every text is made safe for a terminal. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) =>
    row.map((text, i) => truncate(text, i < head.length - 1 ? maxColumns : 10 * maxColumns)),
  );
  const widths = head.map((_, i) => Math.max(...cells.map((row) => columnsOf(row[i]!))));
  const line = (row: readonly string[]) =>
    row
      .map((text, i) => text + " ".repeat(widths[i]! - columnsOf(text)))
      .join(gap)
      .trimEnd();
  return cells.map((row) => `${line(row)}\n`).join("");
}
