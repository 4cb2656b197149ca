import type { Cell } from "./cells.ts";

const ellipsis: Cell = { text: "…", width: 1, novel: false };

/** Groups of novel parts beyond these are context like any other. */
const maxGroups = 8;
/** Known cells between two novel parts that are read as one. */
const groupGap = 12;
/** The least that an ellipsis stands for: less is sooner read than missed. */
const leastGap = 6;

/** A half-open range of cells that is kept. */
interface Region {
  start: number;
  end: number;
}

/** Joins regions, in ascending order, that fewer than `gap` cells keep apart. */
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
 * What of a text to show in so many columns: its beginning and its novel parts, with as much around them as there is
 * room for. Where novel parts are too long together, all lose what is beyond the same length.
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
  const clipped = (most: number) => {
    const beginning = { start: 0, end: Math.min(1, cells.length) };
    const clips = groups.map(({ start, end }) => ({ start, end: Math.min(end, start + most) }));
    return merge([beginning, ...clips], leastGap);
  };
  // Largest common length that fits, by bisection: cost grows with it.
  let low = 0;
  let high = cells.length;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (cost(clipped(middle)) <= columns) low = middle;
    else high = middle - 1;
  }
  let kept = clipped(low);
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
