import { type Cell, columnsOf, truncate } from "./cells.ts";

/** Puts items side by side, in as many lines as the width requires. */
export function flow(items: readonly string[], columns: number, gap = "   "): string[] {
  const lines: string[] = [];
  for (const item of items.map((item) => truncate(item, columns))) {
    const last = lines.at(-1);
    const joined = `${last}${gap}${item}`;
    if (last !== undefined && columnsOf(joined) <= columns) lines[lines.length - 1] = joined;
    else lines.push(item);
  }
  return lines;
}

/** Breaks cells into lines of at most `width` columns. */
export function wrap(cells: readonly Cell[], width: number): Cell[][] {
  const lines: Cell[][] = [];
  let left = 0;
  for (const cell of cells) {
    if (cell.width > left || lines.length === 0) {
      lines.push([]);
      left = width;
    }
    lines.at(-1)!.push(cell);
    left -= cell.width;
  }
  return lines;
}

/** Puts runs of novel cells between brackets. */
export function bracketed(cells: readonly Cell[]): Cell[] {
  return cells.flatMap((cell, i) => [
    ...(cell.novel && !cells[i - 1]?.novel ? [{ text: "⟦", width: 1, novel: false }] : []),
    cell,
    ...(cell.novel && !cells[i + 1]?.novel ? [{ text: "⟧", width: 1, novel: false }] : []),
  ]);
}
