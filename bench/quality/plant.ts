/** Anomalies planted into normal lines, in consecutive windows that follow the training part. */
import { clone, create } from "@bufbuild/protobuf";
import { AnyValueSchema } from "../../src/gen/opentelemetry/proto/common/v1/common_pb.js";
import { LogRecordSchema } from "../../src/gen/opentelemetry/proto/logs/v1/logs_pb.js";
import { Random } from "../../src/generate/random.ts";
import { type Line, templateOf } from "./log-sets.ts";

/** The number of lines in a window. */
export const size = 50;
/** The number of lines that a burst puts in place of one. */
const burstFactor = 15;
/** The number of windows from which a stopped template is absent. */
const stopWindows = 3;
/** One window in this many consecutive ones, chosen at random, holds a strange line or a burst. */
const every = 4;
/** The largest number of windows from one stop to the next. */
const stopEvery = 16;
/** A template with a larger share of the lines is not used for a burst: 15 of its lines would mean nothing. */
const largestShare = 0.1;
/**
 * A template must occur in each of this many windows before it is stopped: the absence of an irregular one means
 * nothing.
 */
const steadyWindows = 10;

export interface Planted {
  lines: Line[];
  /** Labels are 1 for a line that is planted, and for all lines that come while a template is stopped. */
  labels: number[];
}

/** Takes normal lines in order and builds windows from them. */
class Windows {
  readonly lines: Line[];
  readonly labels: number[];
  readonly #rest: Line[];
  #at = 0;

  constructor(normal: readonly Line[], train: number) {
    this.lines = normal.slice(0, train);
    this.labels = this.lines.map(() => 0);
    this.#rest = normal.slice(train);
  }

  get left(): number {
    return this.#rest.length - this.#at;
  }

  /** Adds the next lines, skipping those of the template `without`. */
  normal(count: number, label = 0, without?: string): void {
    while (count > 0 && this.left > 0) {
      const line = this.#rest[this.#at++]!;
      if (without !== undefined && templateOf(line.text) === without) continue;
      this.add(line, label);
      count--;
    }
  }

  add(line: Line, label: number): void {
    this.lines.push(line);
    this.labels.push(label);
  }

  /** Adds a line from elsewhere or from another time in place of the next one; it belongs to no trace. */
  foreign({ text, record }: Line): void {
    const before = this.lines.at(-1)?.record;
    if (!before) {
      this.add({ text }, 1);
      return;
    }
    const copy = clone(LogRecordSchema, record ?? before);
    if (!record) {
      copy.attributes = [];
      copy.body = create(AnyValueSchema, { value: { case: "stringValue", value: text } });
    }
    copy.timeUnixNano = before.timeUnixNano + 1_000_000n;
    copy.observedTimeUnixNano = copy.timeUnixNano;
    copy.traceId = copy.spanId = new Uint8Array();
    this.add({ text, record: copy }, 1);
  }

  done(): Planted {
    return { lines: this.lines, labels: this.labels };
  }
}

/** Decides for each window in turn whether something is planted in it: one of every four, at random. */
function chooser(random: Random): () => boolean {
  let at = 0;
  let chosen = 0;
  return () => {
    if (at % every === 0) chosen = random.int(0, every - 1);
    return at++ % every === chosen;
  };
}

/** Plants one strange line at a random place of a window, in one window of four. */
export function strangeLines(
  normal: readonly Line[],
  strange: readonly Line[],
  train: number,
  seed: string,
): Planted {
  const random = new Random(`strange/${seed}`);
  const chosen = chooser(random);
  const windows = new Windows(normal, train);
  while (windows.left >= size) {
    if (!chosen()) {
      windows.normal(size);
      continue;
    }
    const before = random.int(0, size - 1);
    windows.normal(before);
    windows.foreign({ text: random.pick(strange).text });
    windows.normal(size - 1 - before);
  }
  return windows.done();
}

/**
 * Plants 15 lines of one known template in place of one, in one window of four. Templates differ from burst to burst if
 * the set has enough of them.
 */
export function bursts(normal: readonly Line[], train: number, seed: string): Planted {
  const random = new Random(`burst/${seed}`);
  const chosen = chooser(random);
  const windows = new Windows(normal, train);
  const known = Map.groupBy(normal.slice(0, train), ({ text }) => templateOf(text));
  const templates = [...known.values()].filter((lines) => lines.length / train <= largestShare);
  while (windows.left >= size) {
    if (!chosen()) {
      windows.normal(size);
      continue;
    }
    const lines = random.pick(templates);
    const first = random.int(0, lines.length - 1);
    const before = random.int(0, size - burstFactor);
    windows.normal(before);
    for (let i = 0; i < burstFactor; i++) windows.foreign(lines[(first + i) % lines.length]!);
    windows.normal(size - burstFactor - before);
  }
  return windows.done();
}

/** The templates that occur in each of the latest windows that have been built. */
function steady(lines: readonly Line[]): string[] {
  const windows = Array.from({ length: steadyWindows }, (_, w) => {
    const end = lines.length - w * size;
    return new Set(lines.slice(end - size, end).map(({ text }) => templateOf(text)));
  });
  return [...windows[0]!].filter((template) => windows.every((each) => each.has(template)));
}

/**
 * Stops a template that occurred in each of the last ten windows for three windows. Returns undefined if the set has no
 * such template.
 */
export function stops(normal: readonly Line[], train: number, seed: string): Planted | undefined {
  const random = new Random(`stop/${seed}`);
  const windows = new Windows(normal, train);
  let planted = false;
  while (windows.left >= 2 * stopEvery * size) {
    windows.normal((steadyWindows + random.int(0, stopEvery - stopWindows - steadyWindows)) * size);
    const templates = steady(windows.lines);
    if (templates.length === 0) continue;
    windows.normal(stopWindows * size, 1, random.pick(templates));
    planted = true;
  }
  return planted ? windows.done() : undefined;
}
