/** Anomalies over time, in a lane for each service, stream, channel or signal. The table below has the same numbers. */
import { useEffect, useRef } from "preact/hooks";
import { request } from "../api/client.ts";
import { anomalyFeed } from "../api/live.ts";
import { useLoad } from "../api/load.ts";
import type { Counts } from "../api/types.ts";
import { colorOf, onLook } from "../parts/chart.tsx";
import { plural, shortTime, timeZone } from "../parts/format.ts";
import { severities } from "../parts/names.ts";
import { Table } from "../parts/table.tsx";
import { apiTime } from "../parts/time-range.ts";
import { address, go, here, setQuery } from "../shell/router.ts";

const kinds = { service: "Services", channel: "Channels", signal: "Signals", stream: "Streams" } as const;
type Kind = keyof typeof kinds;

const rowHeight = 22;
const axisHeight = 20;
const gap = 2;
/** Without a range, this much of the past is shown. */
const defaultRange = "now-24h";
const buckets = 96;

interface Cell {
  lane: string;
  from: number;
  until: number;
  total: number;
  grave: "low" | "medium" | "high" | "critical";
}

function cellStart({ from, bucket_seconds }: Counts, bucket: number): number {
  return Date.parse(from) + bucket * bucket_seconds * 1_000;
}

function cellsOf(counts: Counts): Cell[] {
  return counts.lanes.flatMap(({ lane, counts: cells }) =>
    cells.map(({ bucket, ...each }) => ({
      lane,
      from: cellStart(counts, bucket),
      until: cellStart(counts, bucket + 1),
      total: each.low + each.medium + each.high + each.critical,
      grave: (["critical", "high", "medium"] as const).find((name) => each[name] > 0) ?? "low",
    })),
  );
}

interface Drawing {
  counts: Counts;
  cells: Cell[];
  labelWidth: number;
  marked: { from: number; until: number } | undefined;
}

function draw(canvas: HTMLCanvasElement, { counts, cells, labelWidth, marked }: Drawing): void {
  const width = canvas.clientWidth;
  const height = counts.lanes.length * rowHeight + axisHeight;
  const ratio = devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  if (context === null || width === 0) return;
  context.scale(ratio, ratio);
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  const text = colorOf(canvas.parentElement!, "--text");
  const muted = colorOf(canvas.parentElement!, "--muted");
  const line = colorOf(canvas.parentElement!, "--line");
  const start = Date.parse(counts.from);
  const span = Math.max(1, Date.parse(counts.until) - start);
  const scale = (time: number) => labelWidth + ((time - start) / span) * (width - labelWidth);
  const rows = new Map(counts.lanes.map(({ lane }, i) => [lane, i]));
  context.fillStyle = text;
  for (const [lane, i] of rows) {
    context.fillText(shortened(context, lane || "none", labelWidth - 10), 0, i * rowHeight + rowHeight / 2);
    context.fillStyle = line;
    context.fillRect(labelWidth, (i + 1) * rowHeight - 1, width - labelWidth, 1);
    context.fillStyle = text;
  }
  const colors = Object.fromEntries(
    (["low", "medium", "high", "critical"] as const).map((name) => [
      name,
      colorOf(canvas.parentElement!, `--${name}`),
    ]),
  );
  for (const cell of cells) {
    const x = scale(cell.from);
    context.globalAlpha = Math.min(1, 0.55 + 0.15 * Math.log2(cell.total));
    context.fillStyle = colors[cell.grave]!;
    const wide = Math.max(3, scale(cell.until) - x - 1);
    context.fillRect(x, rows.get(cell.lane)! * rowHeight + gap, wide, rowHeight - 2 * gap - 1);
  }
  context.globalAlpha = 1;
  if (marked !== undefined) {
    context.fillStyle = colorOf(canvas.parentElement!, "--accent");
    context.globalAlpha = 0.18;
    const [from, until] = [scale(marked.from), scale(marked.until)];
    context.fillRect(from, 0, until - from, height - axisHeight);
    context.globalAlpha = 1;
  }
  context.fillStyle = muted;
  let before: number | undefined;
  const ticks = Math.max(1, Math.floor((width - labelWidth) / 130));
  for (let i = 0; i <= ticks; i++) {
    const time = start + (span * i) / ticks;
    context.textAlign = i === 0 ? "left" : i === ticks ? "right" : "center";
    context.fillText(tickText(time, before), scale(time), height - axisHeight / 2 + 2);
    before = time;
  }
  context.textAlign = "left";
}

/** Names the day of the first tick and of those at which another day begins, if it is not today. */
function tickText(time: number, before: number | undefined): string {
  const whole = (at: number) => shortTime(at).replace(/:\d\d$/, "");
  const [day, clock] = whole(time).split(", ") as [string, string | undefined];
  if (clock === undefined || before === undefined || !whole(before).startsWith(`${day}, `))
    return whole(time);
  return clock;
}

/** Cuts a text to a width. */
function shortened(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (context.measureText(text).width <= width) return text;
  let end = text.length;
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > width) end--;
  return `${text.slice(0, end)}…`;
}

function Canvas({ counts, kind }: { counts: Counts; kind: Kind }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const zone = timeZone();
  useEffect(() => {
    const element = canvas.current!;
    const cells = cellsOf(counts);
    const labelWidth = Math.min(kind === "stream" ? 260 : 140, element.clientWidth / 3);
    const start = Date.parse(counts.from);
    const span = Math.max(1, Date.parse(counts.until) - start);
    let pressed: number | undefined;
    let marked: Drawing["marked"];
    const paint = () => draw(element, { counts, cells, labelWidth, marked });
    const timeAt = (x: number) =>
      start + (Math.max(0, x - labelWidth) / Math.max(1, element.clientWidth - labelWidth)) * span;
    const cellAt = ({ offsetX, offsetY }: MouseEvent) => {
      const lane = counts.lanes[Math.floor(offsetY / rowHeight)]?.lane;
      const time = timeAt(offsetX);
      return cells.find((cell) => cell.lane === lane && cell.from <= time && time < cell.until);
    };
    const show = (event: PointerEvent) => {
      const cell = cellAt(event);
      const box = tip.current!;
      box.hidden = cell === undefined || marked !== undefined;
      if (cell === undefined) return;
      box.textContent = `${cell.lane || "none"}: ${plural(cell.total, "anomaly", "anomalies")}, ${shortTime(cell.from)}`;
      const left = Math.min(event.offsetX + 12, element.clientWidth - box.offsetWidth);
      box.style.transform = `translate(${Math.max(0, left)}px, ${event.offsetY + 14}px)`;
    };
    const down = (event: PointerEvent) => {
      if (event.button !== 0 || event.offsetX < labelWidth) return;
      pressed = event.offsetX;
      element.setPointerCapture(event.pointerId);
    };
    const move = (event: PointerEvent) => {
      if (pressed !== undefined && Math.abs(event.offsetX - pressed) > 5) {
        const [from, until] = [pressed, event.offsetX].sort((a, b) => a - b);
        marked = { from: timeAt(from!), until: timeAt(until!) };
        paint();
      }
      show(event);
    };
    const up = (event: PointerEvent) => {
      const range = marked;
      const began = pressed;
      pressed = undefined;
      marked = undefined;
      if (range !== undefined) {
        const iso = (time: number) => `${new Date(time).toISOString().slice(0, 19)}Z`;
        setQuery({ from: iso(range.from), until: iso(range.until) }, { replace: false });
      } else if (began !== undefined) {
        const cell = cellAt(event);
        if (cell !== undefined) go(cellAddress(kind, cell));
      }
      paint();
    };
    const leave = () => {
      tip.current!.hidden = true;
    };
    paint();
    element.addEventListener("pointerdown", down);
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerup", up);
    element.addEventListener("pointerleave", leave);
    const observer = new ResizeObserver(paint);
    observer.observe(element);
    const end = onLook(paint);
    return () => {
      element.removeEventListener("pointerdown", down);
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointerup", up);
      element.removeEventListener("pointerleave", leave);
      observer.disconnect();
      end();
    };
  }, [counts, kind, zone]);
  return (
    <div class="lanes-canvas">
      <canvas
        ref={canvas}
        role="img"
        aria-label={`Anomalies over time by ${kind}; the table below has the numbers`}
      />
      <div ref={tip} class="tip" hidden />
    </div>
  );
}

/** The anomalies of a cell. */
function cellAddress(kind: Kind, { lane, from, until }: Cell): string {
  const iso = (time: number) => new Date(time).toISOString();
  return address("/anomalies", { [kind]: lane, from: iso(from), until: iso(until) });
}

function Twin({ counts, kind }: { counts: Counts; kind: Kind }) {
  return (
    <details class="twin">
      <summary>As a table</summary>
      <Table
        label="Anomalies over time, as a table"
        rows={cellsOf(counts)}
        keyOf={({ lane, from }) => `${lane} ${from}`}
        columns={[
          {
            name: kinds[kind].slice(0, -1),
            kind: "text",
            cell: (cell) => <a href={cellAddress(kind, cell)}>{cell.lane || "none"}</a>,
          },
          { name: "From", cell: ({ from }) => shortTime(from) },
          { name: "Anomalies", kind: "number", cell: ({ total }) => total },
          { name: "Gravest", cell: ({ grave }) => grave },
        ]}
      />
    </details>
  );
}

export function Lanes() {
  const { query } = here.value;
  const asked = query.get("lanes") ?? "";
  const kind: Kind = Object.hasOwn(kinds, asked) ? (asked as Kind) : "service";
  const from = query.get("from") || defaultRange;
  const until = query.get("until") || "now";
  const service = query.get("service") ?? "";
  const { data, reload } = useLoad(
    `lanes ${kind} ${from} ${until} ${service}`,
    async (signal) => {
      const ask = (since: string) =>
        request<Counts>("/v1/anomalies/summary", {
          query: {
            by: kind,
            buckets: String(buckets),
            top: "8",
            ...(service !== "" && { service }),
            from: apiTime(since) ?? "",
            until: apiTime(until) ?? "",
          },
          signal,
        });
      const counts = await ask(from);
      const first = Math.min(...counts.lanes.flatMap((lane) => lane.counts.map(({ bucket }) => bucket)));
      // Of a new installation, most of the past is empty.
      if (query.get("from") || first < buckets / 2 || first === Number.POSITIVE_INFINITY) return counts;
      return ask(new Date(cellStart(counts, first - 4)).toISOString());
    },
    30_000,
  );
  useEffect(() => {
    let due: ReturnType<typeof setTimeout> | undefined;
    const end = anomalyFeed.listen(() => {
      due ??= setTimeout(() => {
        due = undefined;
        reload();
      }, 2_000);
    });
    return () => {
      clearTimeout(due);
      end();
    };
  }, [reload]);
  if (data === undefined || data.lanes.length === 0) return null;
  return (
    <section class="card lanes" aria-label="Anomalies over time">
      <header>
        <h2>Anomalies</h2>
        <div class="segments" role="group" aria-label="Lanes">
          {Object.entries(kinds).map(([name, label]) => (
            <button
              key={name}
              type="button"
              aria-pressed={name === kind}
              onClick={() => setQuery({ lanes: name === "service" ? undefined : name })}
            >
              {label}
            </button>
          ))}
        </div>
        {query.get("until") && (
          <button
            type="button"
            onClick={() => setQuery({ from: undefined, until: undefined }, { replace: false })}
          >
            Show the last day
          </button>
        )}
      </header>
      <Canvas counts={data} kind={kind} />
      <p class="legend">
        {Object.entries(severities).map(([severity, name]) => (
          <span key={severity} class={`severity ${severity}`}>
            {name}
          </span>
        ))}
        <span>Darker where there are more. Drag over a time to look closer.</span>
      </p>
      {data.others.lanes > 0 && (
        <p class="hint">
          {plural(data.others.total, "anomaly", "anomalies")} in {plural(data.others.lanes, "other lane")}.
        </p>
      )}
      <Twin counts={data} kind={kind} />
    </section>
  );
}
