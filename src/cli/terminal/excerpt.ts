import type { Cell } from "./cells.ts";

const ellipsis: Cell = { text: "…", width: 1, novel: false };

/** Maximum number of groups of novel parts. Further groups are treated as context. */
const maxGroups = 8;
/** Two novel parts with fewer known cells between them form one group. */
const groupGap = 12;
/** Minimum number of cells that an ellipsis replaces; fewer are easier to read than to miss. */
const leastGap = 6;

/** A half-open range of cells to keep. */
interface Region {
  start: number;
  end: number;
}

/** Joins neighbouring regions with fewer than `gap` cells between them. `regions` are in ascending order. */
function merge(regions: Iterable<Region>, gap: number): Region[] {
  const merged: Region[] = [];
  for (const { start, end } of regions) {
    const last = merged.at(-1);
    if (last && start < last.end + gap) last.end = Math.max(last.end, end);
    else merged.push({ start, end });
  }
  return merged;
}

function* novelCells(cells: readonly Cell[]): Generator<Region, void> {
  for (const [i, { novel }] of cells.entries()) if (novel) yield { start: i, end: i + 1 };
}

/**
 * Selects what to show of a text in the given number of columns: its beginning and its novel parts, with as much context
 * as there is room for. If the novel parts are too long together, all of them are truncated to the same length.
 */
export function excerpt(cells: readonly Cell[], columns: number): Cell[] {
  const before = [0];
  for (const { width } of cells) before.push(before.at(-1)! + width);
  const widthOf = ({ start, end }: Region) => before[end]! - before[start]!;
  const cost = (regions: readonly Region[]) =>
    regions.reduce((sum, region) => sum + widthOf(region), 0) +
    regions.filter(({ start }) => start > 0).length +
    (regions.at(-1)?.end === cells.length ? 0 : 1);

  const groups = merge(novelCells(cells), groupGap).slice(0, maxGroups);
  const truncated = (most: number) => {
    const beginning = { start: 0, end: Math.min(1, cells.length) };
    const parts = groups.map(({ start, end }) => ({ start, end: Math.min(end, start + most) }));
    return merge([beginning, ...parts], leastGap);
  };
  // Bisection finds the largest common length that fits, since the cost grows with the length.
  let low = 0;
  let high = cells.length;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (cost(truncated(middle)) <= columns) low = middle;
    else high = middle - 1;
  }
  let kept = truncated(low);
  const whole = (regions: readonly Region[]) =>
    regions.length === 1 && widthOf(regions[0]!) === before.at(-1);
  while (!whole(kept)) {
    const grown = merge(
      kept.map(({ start, end }) => ({ start: Math.max(0, start - 1), end: Math.min(cells.length, end + 1) })),
      leastGap,
    );
    if (cost(grown) > columns) break;
    kept = grown;
  }
  const shown = kept.flatMap(({ start, end }) => [
    ...(start > 0 ? [ellipsis] : []),
    ...cells.slice(start, end),
  ]);
  return (kept.at(-1)?.end ?? 0) < cells.length ? [...shown, ellipsis] : shown;
}
