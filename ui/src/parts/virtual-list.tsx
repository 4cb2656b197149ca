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
  const shown: ComponentChildren[] = [];
  for (let i = Math.min(range.first, last); i < last; i++) {
    shown.push(
      <div
        key={keyAt(i)}
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
