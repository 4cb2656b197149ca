/** Plots as vectors. */
import { type Box, colors, fonts, type Paper } from "./paper.ts";
import { clockTime, figure, rangeTimes } from "./words.ts";

/** The height of a plot over time. */
export const plotHeight = 120;
/** The height of a plot of so many lanes. */
export const lanesHeight = (lanes: number): number => lanes * laneHeight + 34;

export interface Point {
  /** In milliseconds since 1970. */
  time: number;
  value: number;
  /** The end of what is usual at that time: a limit, or a range. */
  low: number | null;
  high: number | null;
}

interface Scale {
  (value: number): number;
  ticks: number[];
}

/** Values that span much are drawn by their logarithms. */
const logarithmicFrom = 50;

function valueScale(values: readonly number[], bottom: number, top: number, fromZero: boolean): Scale {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  const logarithmic = low > 0 && high / low > logarithmicFrom;
  if (fromZero && !logarithmic) low = Math.min(0, low);
  if (low === high) [low, high] = [low - 1, high + 1];
  const to = logarithmic ? Math.log10 : (value: number) => value;
  const [a, b] = [to(low), to(high)];
  const pad = (b - a) * 0.08;
  const [start, end] = [fromZero && !logarithmic && low === 0 ? a : a - pad, b + pad];
  const scale = (value: number) => bottom - ((to(value) - start) / (end - start)) * (bottom - top);
  const ticks = logarithmic ? powers(low, high) : steps(start, end);
  return Object.assign(scale, { ticks });
}

function powers(low: number, high: number): number[] {
  const [from, to] = [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))];
  const every = Math.max(1, Math.ceil((to - from) / 5));
  return Array.from(
    { length: Math.floor((to - from) / every) + 1 },
    (_, index) => 10 ** (from + index * every),
  );
}

/** About four round steps. */
function steps(low: number, high: number): number[] {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough)!;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, index) => (first + index) * step);
}

function timeScale(points: readonly { time: number }[], left: number, right: number) {
  const times = points.map(({ time }) => time);
  const [first, last] = [Math.min(...times), Math.max(...times)];
  if (first === last) return { at: () => (left + right) / 2, first, last };
  const pad = (last - first) * 0.04;
  const at = (time: number) => left + ((time - first + pad) / (last - first + 2 * pad)) * (right - left);
  return { at, first, last };
}

function label(
  paper: Paper,
  text: string,
  x: number,
  y: number,
  width: number,
  align: "left" | "right" | "center" = "left",
): void {
  const { doc } = paper;
  const shown = paper.safe(text);
  doc.font(fonts.plain).fontSize(7).fillColor(colors.muted);
  doc.text(shown, x, y, { width, align, lineBreak: false, height: 9, ellipsis: true });
}

function frame(paper: Paper, box: Box, scale: Scale, unit: string): { left: number; right: number } {
  const { doc } = paper;
  const [left, right] = [box.x + 58, box.x + box.width - 8];
  for (const tick of scale.ticks) {
    const y = scale(tick);
    doc.moveTo(left, y).lineTo(right, y).lineWidth(0.3).strokeColor(colors.line).stroke();
    label(paper, `${figure(tick)}${unit === "" ? "" : ` ${unit}`}`, box.x, y - 4, 54, "right");
  }
  return { left, right };
}

function dot(paper: Paper, x: number, y: number, beyond: boolean): void {
  const { doc } = paper;
  doc
    .circle(x, y, 2.6)
    .fillColor(beyond ? colors.alarm : colors.accent)
    .fill();
}

function times(paper: Paper, box: Box, left: number, right: number, first: number, last: number): void {
  const y = box.y + box.height - 10;
  if (first === last) label(paper, clockTime(first), left, y, right - left, "center");
  else {
    const [from, to] = rangeTimes(first, last);
    label(paper, from, left, y, 160);
    label(paper, to, right - 160, y, 160, "right");
  }
}

/** Scores over time with the limit of each. */
export function scorePlot(paper: Paper, points: readonly Point[], unit: string): void {
  const limits = points.flatMap(({ high }) => (high === null ? [] : [high]));
  const most = Math.max(...points.map(({ value }) => value));
  const alt = `Plot of ${points.length} reported score${points.length === 1 ? "" : "s"} over time. The highest is ${figure(most)}${limits.length === 0 ? "" : `; the limit is ${figure(Math.max(...limits))}`}.`;
  plot(paper, alt, points, unit, (left, right, scale, at) => {
    const { doc } = paper;
    for (const [index, { time, high }] of points.entries()) {
      if (high === null) continue;
      const from = index === 0 ? left : at(time);
      const to = index === points.length - 1 ? right : at(points[index + 1]!.time);
      doc
        .moveTo(from, scale(high))
        .lineTo(to, scale(high))
        .lineWidth(1)
        .strokeColor(colors.alarm)
        .dash(3, { space: 2 })
        .stroke()
        .undash();
    }
    if (limits.length > 0) label(paper, "limit", right - 40, scale(limits.at(-1)!) - 10, 40, "right");
  });
}

/** Values beside what is usual. */
export function valuePlot(paper: Paper, points: readonly Point[], unit: string): void {
  const { value, low, high } = points[0]!;
  const alt = `Plot of ${points.length} value${points.length === 1 ? "" : "s"} beside what is usual: first ${figure(value)}, usually ${figure(low ?? 0)} to ${figure(high ?? 0)}${unit === "" ? "" : ` ${unit}`}.`;
  plot(paper, alt, points, unit, (left, right, scale, at) => {
    const { doc } = paper;
    for (const [index, point] of points.entries()) {
      if (point.low === null || point.high === null) continue;
      const from = index === 0 ? left : at(point.time);
      const to = index === points.length - 1 ? right : at(points[index + 1]!.time);
      const top = scale(point.high);
      doc.rect(from, top, to - from, Math.max(1.5, scale(point.low) - top)).fill(colors.usual);
    }
    const last = points.findLast((point) => point.high !== null);
    if (last !== undefined) label(paper, "usual", right - 40, scale(last.high!) - 10, 40, "right");
  });
}

function plot(
  paper: Paper,
  alt: string,
  points: readonly Point[],
  unit: string,
  usual: (left: number, right: number, scale: Scale, at: (time: number) => number) => void,
): void {
  paper.figure(alt, plotHeight, (box) => {
    const all = points.flatMap(({ value, low, high }) => [value, low ?? value, high ?? value]);
    const scale = valueScale(all, box.y + box.height - 16, box.y + 6, true);
    const { left, right } = frame(paper, box, scale, unit);
    const { at, first, last } = timeScale(points, left, right);
    usual(left, right, scale, at);
    for (const { time, value, low, high } of points) {
      dot(paper, at(time), scale(value), (high !== null && value > high) || (low !== null && value < low));
    }
    times(paper, box, left, right, first, last);
  });
}

export interface Lane {
  name: string;
  from: number;
  to: number;
  color: string;
}

const laneHeight = 13;

/** What was unusual when: one lane for each stream, with moments as lines. */
export function lanesPlot(
  paper: Paper,
  lanes: readonly Lane[],
  moments: readonly { name: string; time: number }[],
): void {
  const all = [...lanes.flatMap(({ from, to }) => [from, to]), ...moments.map(({ time }) => time)].map(
    (time) => ({ time }),
  );
  const spoken = lanes
    .map(({ name, from, to }) => `${name} from ${clockTime(from)} to ${clockTime(to)}`)
    .join("; ");
  const alt = `Which streams were unusual when. ${spoken}. ${moments.map(({ name, time }) => `${name} at ${clockTime(time)}`).join("; ")}.`;
  const { doc } = paper;
  paper.figure(alt, lanesHeight(lanes.length), (box) => {
    const [left, right] = [box.x + 190, box.x + box.width - 8];
    const { at, first, last } = timeScale(all, left, right);
    const [top, bottom] = [box.y + 14, box.y + 14 + lanes.length * laneHeight];
    for (const [index, { name, from, to, color }] of lanes.entries()) {
      const y = top + index * laneHeight;
      if (index % 2 === 0) doc.rect(box.x, y, box.width, laneHeight).fill(colors.shade);
      label(paper, name, box.x + 3, y + 2.5, 184);
      doc
        .roundedRect(at(from) - 1.5, y + 3, Math.max(3, at(to) - at(from) + 3), laneHeight - 6, 2)
        .fill(color);
    }
    for (const { name, time } of moments) {
      doc.moveTo(at(time), top).lineTo(at(time), bottom).lineWidth(0.8).strokeColor(colors.ink).stroke();
      const x = Math.min(Math.max(at(time) - 50, left), right - 100);
      label(paper, name, x, box.y + 3, 100, "center");
    }
    times(paper, { ...box, height: bottom - box.y + 16 }, left, right, first, last);
  });
}
