/** A graph whose arrows lead from left to right, as far as possible. */
import { layOut } from "./layout.ts";

const box = { width: 150, height: 38 };
const step = { x: 220, y: 62 };
const margin = 24;

export interface GraphNode {
  name: string;
  /** Classes, such as `member` or `cause`. */
  kind?: string;
  /** What is written above it. */
  note?: string | undefined;
  title?: string;
}

export interface GraphArrow {
  from: string;
  to: string;
  title: string;
  width: number;
  /** Whether it is marked. */
  marked: boolean;
}

const short = (text: string) => (text.length > 17 ? `${text.slice(0, 16)}…` : text);

/** @param region the name of the frame in which it scrolls; @param label what it shows */
export function Graph({
  region,
  label,
  nodes,
  arrows,
}: {
  region: string;
  label: string;
  nodes: readonly GraphNode[];
  arrows: readonly GraphArrow[];
}) {
  const drawn = arrows.filter(({ from, to }) => from !== to);
  const layout = layOut(
    nodes.map(({ name }) => name),
    drawn.map(({ from, to }) => ({ caller: from, callee: to })),
  );
  const placed = new Map(layout.nodes.map((node) => [node.name, node]));
  const width = (layout.columns - 1) * step.x + box.width + 2 * margin;
  const height = layout.rows * step.y + 2 * margin - (step.y - box.height);
  const at = (name: string) => {
    const { column, row } = placed.get(name)!;
    const inColumn = layout.nodes.filter((node) => node.column === column).length;
    return {
      x: margin + column * step.x,
      y: margin + row * step.y + ((layout.rows - inColumn) * step.y) / 2,
    };
  };
  return (
    <div class="scroll graph" tabindex={0} role="region" aria-label={region}>
      <svg viewBox={`0 0 ${width} ${height}`} width={width} height={height} role="img" aria-label={label}>
        <defs>
          {["arrow", "arrow-worse"].map((id) => (
            <marker
              key={id}
              id={id}
              viewBox="0 0 8 8"
              refX="7"
              refY="4"
              markerWidth="10"
              markerHeight="10"
              markerUnits="userSpaceOnUse"
              orient="auto"
            >
              <path d="M0 0L8 4L0 8z" class={id} />
            </marker>
          ))}
        </defs>
        {drawn.map(({ from, to, title, width: stroke, marked }) => {
          const [start, end] = [at(from), at(to)];
          const back = end.x <= start.x;
          const [x1, y1] = [start.x + (back ? 0 : box.width), start.y + box.height / 2];
          const [x2, y2] = [end.x + (back ? box.width : 0), end.y + box.height / 2];
          const bend = back ? -40 : (x2 - x1) / 2;
          return (
            <path
              key={`${from} ${to}`}
              class={`call ${marked ? "worse" : ""}`}
              d={`M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2 - (back ? -4 : 4)} ${y2}`}
              stroke-width={stroke}
              marker-end={marked ? "url(#arrow-worse)" : "url(#arrow)"}
            >
              <title>{title}</title>
            </path>
          );
        })}
        {nodes.map(({ name, kind = "", note, title = name }) => {
          const { x, y } = at(name);
          return (
            <g key={name} class={`node ${kind}`} transform={`translate(${x} ${y})`}>
              <title>{title}</title>
              <rect width={box.width} height={box.height} rx="8" />
              <text x={box.width / 2} y={box.height / 2 + 5} text-anchor="middle">
                {short(name)}
              </text>
              {note !== undefined && (
                <text class="note" x={box.width / 2} y={-6} text-anchor="middle">
                  {note}
                </text>
              )}
            </g>
          );
        })}
      </svg>
    </div>
  );
}
