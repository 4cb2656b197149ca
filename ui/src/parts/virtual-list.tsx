/** A list of rows of equal height, of which only those in sight exist. */
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

interface Props {
  label: string;
  length: number;
  rowHeight: number;
  /** The row that must be in sight; -1 for none. */
  selected: number;
  keyAt(index: number): string;
  row(index: number): ComponentChildren;
  /** Called when the last rows come into sight. */
  onEnd(): void;
  /** Called when the list is scrolled away from its beginning, and when it is back there. */
  onAway?(away: boolean): void;
  head: ComponentChildren;
}

/** Rows that exist beyond those in sight, on either side. */
const margin = 10;

/**
 * Gives each row the key of its element. An element stays with its row, so that scrolling a little touches only the rows that
 * come into sight. A jump, after which most rows are others, fills the elements anew in their order: that takes far less than
 * making and laying out elements for a whole screen in each frame of a fast scroll.
 * @returns the keys, and the number of jumps so far
 */
function useElements(rows: readonly string[]): { keys: number[]; jumps: number } {
  const held = useRef({ byRow: new Map<string, number>(), made: 0, jumps: 0 });
  const { byRow } = held.current;
  const staying = rows.filter((row) => byRow.has(row)).length;
  const jump = byRow.size > 0 && 2 * staying < rows.length;
  const inOrder = [...byRow.values()];
  const keys = rows.map((row, i) => (jump ? inOrder[i] : byRow.get(row)) ?? held.current.made++);
  held.current.byRow = new Map(rows.map((row, i) => [row, keys[i]!]));
  if (jump) held.current.jumps += 1;
  return { keys, jumps: held.current.jumps };
}

export function VirtualList({ label, length, rowHeight, selected, keyAt, row, onEnd, onAway, head }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState({ first: 0, last: 40 });
  const measure = () => {
    const element = scroller.current;
    if (element === null) return;
    const first = Math.max(0, Math.floor(element.scrollTop / rowHeight) - margin);
    const last = Math.ceil((element.scrollTop + element.clientHeight) / rowHeight) + margin;
    onAway?.(element.scrollTop > rowHeight);
    setRange((old) => (old.first === first && old.last === last ? old : { first, last }));
  };
  const latest = useRef(measure);
  latest.current = measure;
  useEffect(() => {
    const observer = new ResizeObserver(() => latest.current());
    observer.observe(scroller.current!);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null || selected < 0) return;
    const top = selected * rowHeight;
    const headHeight = element.querySelector<HTMLElement>(".head")?.offsetHeight ?? 0;
    if (top < element.scrollTop) element.scrollTop = top;
    const bottom = top + rowHeight + headHeight;
    if (bottom > element.scrollTop + element.clientHeight) element.scrollTop = bottom - element.clientHeight;
  }, [selected, rowHeight]);
  const last = Math.min(length, range.last);
  useEffect(() => {
    if (last >= length - margin) onEnd();
  }, [last, length, onEnd]);
  const first = Math.min(range.first, last);
  const { keys, jumps } = useElements(Array.from({ length: last - first }, (_, i) => keyAt(first + i)));
  useLayoutEffect(() => {
    // What had the focus is another row now.
    const element = scroller.current;
    if (element?.querySelector(".rows :focus")) element.focus({ preventScroll: true });
  }, [jumps]);
  const shown: ComponentChildren[] = [];
  for (let i = first; i < last; i++) {
    shown.push(
      <div
        key={keys[i - first]}
        role="row"
        aria-rowindex={i + 2}
        class={`row ${i === selected ? "selected" : ""}`}
        style={{ transform: `translateY(${i * rowHeight}px)`, height: `${rowHeight}px` }}
        data-index={i}
      >
        {row(i)}
      </div>,
    );
  }
  return (
    <div
      ref={scroller}
      class="list"
      role="table"
      aria-label={label}
      aria-rowcount={length + 1}
      tabindex={0}
      onScroll={measure}
    >
      <div role="rowgroup" class="head">
        <div role="row" aria-rowindex={1} class="row">
          {head}
        </div>
      </div>
      <div role="rowgroup" class="rows" style={{ height: `${length * rowHeight}px` }}>
        {shown}
      </div>
    </div>
  );
}
