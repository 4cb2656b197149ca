import { type Cell, columnsOf, cut } from "./cells.ts";

/** Items side by side, in as many lines as the width asks for. */
export function flow(items: readonly string[], columns: number, gap = "   "): string[] {
  const lines: string[] = [];
  for (const item of items.map((item) => cut(item, columns))) {
    const last = lines.at(-1);
    const joined = `${last}${gap}${item}`;
    if (last !== undefined && columnsOf(joined) <= columns) lines[lines.length - 1] = joined;
    else lines.push(item);
  }
  return lines;
}

/** Lines of at most `width` columns. */
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

/** With novel cells between brackets. */
export function bracketed(cells: readonly Cell[]): Cell[] {
  return cells.flatMap((cell, i) => [
    ...(cell.novel && !cells[i - 1]?.novel ? [{ text: "⟦", width: 1, novel: false }] : []),
    cell,
    ...(cell.novel && !cells[i + 1]?.novel ? [{ text: "⟧", width: 1, novel: false }] : []),
  ]);
}
