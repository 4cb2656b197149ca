/** Charts over time. The table below a chart has the same numbers. */
import { useEffect, useRef, useState } from "preact/hooks";
import type uPlotType from "uplot";
import { theme } from "../shell/preferences.ts";
import { longTime, number, timeZone } from "./format.ts";
import { Table } from "./table.tsx";

export interface Series {
  label: string;
  /** The name of the custom property that has its colour. */
  color: string;
  kind: "line" | "steps" | "bars" | "points";
  dashed?: boolean;
  values: readonly (number | null)[];
}

interface Props {
  label: string;
  /** Milliseconds since 1970, ascending. */
  times: readonly number[];
  series: readonly Series[];
  unit?: string;
  /** The least value that the axis shows. */
  top?: number;
  height?: number;
}

type Library = typeof uPlotType;
let library: Promise<Library> | undefined;

function load(): Promise<Library> {
  library ??= import("uplot").then((module) => module.default);
  return library;
}

const darkness = matchMedia("(prefers-color-scheme: dark)");

/** Calls back when colours or the density of pixels change. */
export function onLook(listener: () => void): () => void {
  const pixels = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
  const forced = matchMedia("(forced-colors: active)");
  const queries = [darkness, pixels, forced];
  for (const query of queries) query.addEventListener("change", listener);
  const ends = [theme.subscribe(listener)];
  return () => {
    for (const query of queries) query.removeEventListener("change", listener);
    for (const end of ends) end();
  };
}

/** Returns a colour of the styles as canvases take it. */
export function colorOf(element: Element, property: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${property})`;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function optionsOf(Plot: Library, element: HTMLElement, props: Props): uPlotType.Options {
  const { series, unit = "", top, height = 180 } = props;
  const text = colorOf(element, "--muted");
  const line = colorOf(element, "--line");
  const axis = {
    stroke: text,
    font: "12px system-ui, sans-serif",
    grid: { stroke: line, width: 1 },
    ticks: { stroke: line, width: 1 },
  };
  const zone = timeZone();
  const { bars, stepped } = Plot.paths;
  return {
    width: element.clientWidth,
    height,
    legend: { show: false },
    cursor: { points: { size: 7 }, drag: { x: false, y: false } },
    ...(zone !== undefined && { tzDate: (seconds: number) => Plot.tzDate(new Date(seconds * 1e3), zone) }),
    scales: {
      y: {
        range: (_plot, low, high) => [
          Math.min(0, low ?? 0),
          Math.max(top ?? 0, (high ?? 1) * 1.1, Number.MIN_VALUE) || 1,
        ],
      },
    },
    axes: [
      {
        ...axis,
        space: 70,
        values: [
          [86_400, "{D} {MMM}", null, null, null, null, null, null, 1],
          [3_600, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
          [60, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
          [1, "{HH}:{mm}:{ss}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
          [0.001, ":{ss}.{fff}", "\n{HH}:{mm}", null, "\n{D} {MMM}", null, "\n{HH}:{mm}", null, 1],
        ],
      },
      {
        ...axis,
        // A label that is longer than this would be clipped.
        size: (_plot, values) => 18 + 7 * Math.max(2, ...(values ?? []).map((value) => value.length)),
        values: (_plot, ticks) => ticks.map((tick) => (tick === null ? "" : number(tick) + unit)),
      },
    ],
    series: [
      {},
      ...series.map(({ label, color, kind, dashed }) => ({
        label,
        stroke: colorOf(element, color),
        width: kind === "bars" ? 0 : 1.5,
        ...(dashed && { dash: [5, 4] }),
        ...(kind === "bars" && {
          fill: colorOf(element, color),
          paths: bars!({ size: [0.8, 40, 1], align: 1 }),
          points: { show: false },
        }),
        ...(kind === "steps" && { paths: stepped!({ align: 1 }), points: { show: false } }),
        ...(kind === "line" && { points: { show: false } }),
        ...(kind === "points" && {
          paths: () => null,
          points: { show: true, size: 7, fill: colorOf(element, color) },
        }),
      })),
    ],
  };
}

function Twin({ label, times, series, unit = "" }: Props) {
  const rows = times
    .map((time, i) => ({ time, values: series.map(({ values }) => values[i] ?? null) }))
    .filter(({ values }) => values.some((value, i) => value !== null && !series[i]!.dashed));
  return (
    <details class="twin">
      <summary>As a table</summary>
      <Table
        label={`${label}, as a table`}
        rows={rows.toReversed()}
        keyOf={({ time }) => String(time)}
        columns={[
          { name: "Time", cell: ({ time }) => longTime(time) },
          ...series.map((each, i) => ({
            name: each.label,
            kind: "number" as const,
            cell: ({ values }: (typeof rows)[number]) => {
              const value = values[i] ?? null;
              return value === null ? "–" : number(value) + unit;
            },
          })),
        ]}
      />
    </details>
  );
}

export function Chart(props: Props) {
  const { label, times, series } = props;
  const holder = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState<number | null>(null);
  const zone = timeZone();
  useEffect(() => {
    const element = holder.current!;
    let plot: uPlotType | undefined;
    let gone = false;
    const draw = async () => {
      const Plot = await load();
      if (gone) return;
      plot?.destroy();
      const options = optionsOf(Plot, element, props);
      options.hooks = { setCursor: [({ cursor }) => setAt(cursor.idx ?? null)] };
      const data = [times.map((time) => time / 1e3), ...series.map(({ values }) => [...values])];
      plot = new Plot(options, data as uPlotType.AlignedData, element);
    };
    void draw();
    const observer = new ResizeObserver(() => {
      if (plot && element.clientWidth > 0) plot.setSize({ width: element.clientWidth, height: plot.height });
    });
    observer.observe(element);
    const end = onLook(() => void draw());
    return () => {
      gone = true;
      observer.disconnect();
      end();
      plot?.destroy();
    };
  }, [times, series, zone]);
  const shown = at === null ? times.length - 1 : at;
  const time = times[shown];
  return (
    <figure class="chart">
      <div ref={holder} class="plot" role="img" aria-label={label} />
      <figcaption>
        {series.map(({ label: name, color, kind, values }) => (
          <span key={name} class="legend">
            <svg viewBox="0 0 14 8" width="14" height="8" aria-hidden="true">
              {kind === "points" ? (
                <circle cx="7" cy="4" r="3.5" fill={`var(${color})`} />
              ) : (
                <rect
                  y={kind === "bars" ? 0 : 3}
                  width="14"
                  height={kind === "bars" ? 8 : 2}
                  fill={`var(${color})`}
                />
              )}
            </svg>
            {name}
            {at !== null && <b>{` ${number(values[shown])}${props.unit ?? ""}`}</b>}
          </span>
        ))}
        {at !== null && time !== undefined && <span class="muted">{longTime(time)}</span>}
      </figcaption>
      <Twin {...props} />
    </figure>
  );
}
