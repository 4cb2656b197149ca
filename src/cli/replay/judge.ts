import { defaultTenant } from "../../access/principal.ts";
import { channelName } from "../../anomaly/names.ts";
import { plural } from "../../base/plural.ts";
import type { Engine, EngineWindow, Judged } from "../../engine/index.ts";
import type { Anomaly } from "../../gen/driftlock/v1/anomaly_pb.js";
import { State } from "../../gen/driftlock/v1/anomaly_pb.js";
import { formatNanos } from "../../json/time.ts";
import type { Input } from "../recording/input.ts";
import { judgeInOrder } from "../recording/judge.ts";
import type { NotableFindings } from "./notable.ts";
import { type StreamNaming, streamsOf } from "./streams.ts";

/** Number of values that the engine returns per record. */
const width = 4;

export interface RecordLine {
  i: number;
  kind: "record";
  stream: string;
  /** A higher score is stranger. */
  score: number;
  p: number;
  flagged: boolean;
  /** The channel with the highest score; null if nothing is strange. */
  channel: string | null;
}

/** The window that ends with record `i`: the strangest verdict in it, and how it compares with the baseline. */
export interface WindowLine {
  i: number;
  kind: "window";
  stream: string;
  score: number;
  p: number;
  flagged: boolean;
  channel: string | null;
  compression_ratio: number;
  delta_bits: number;
  entropy: number;
  ncd: number;
}

/** A report of an anomaly without a record: a tick, an unfinished session, a silent stream. */
export interface AnomalyLine {
  /** The last record of the request that revealed it. */
  i: number;
  kind: "anomaly";
  id: string;
  stream: string;
  /** The score, in the unit of the channel. */
  score: number;
  p: number;
  flagged: true;
  channel: string;
  /** When the anomaly began, in RFC 3339. */
  start: string;
  end: string;
  explanation: string;
}

export type Line = RecordLine | WindowLine | AnomalyLine;

/** The lines of one request, in the order of the file. */
export interface Judgement {
  lines: Line[];
  /** Number of records of the request. */
  records: number;
}

/** Judges requests in their order, and yields the lines of each. @param notable receives what was not flagged */
export async function* judge(
  inputs: AsyncIterable<Input>,
  engine: Engine,
  naming: StreamNaming,
  notable: NotableFindings,
): AsyncGenerator<Judgement, void> {
  let next = 0;
  for await (const { input, outcome } of judgeInOrder(inputs, engine, defaultTenant)) {
    notable.add(outcome);
    yield toLines(input, outcome, naming, next);
    next += input.units?.length ?? outcome.records;
  }
}

function toLines(input: Input, outcome: Judged, naming: StreamNaming, first: number): Judgement {
  const { records, scores = new Float64Array(0), windows = [] } = outcome;
  const streams = streamsOf(input.signal, input.body, naming);
  if (streams.length !== records || scores.length !== width * records) {
    throw new Error(
      `${input.place}: contains ${plural(streams.length, "record")}, but the engine read ${records}`,
    );
  }
  const units = input.units ?? Array.from<number>({ length: records }).fill(1);
  const lines: Line[] = [];
  let record = 0;
  let window = 0;
  units.forEach((length, unit) => {
    const i = first + unit;
    lines.push({ i, kind: "record", ...strangest(scores, streams, record, length) });
    record += length;
    for (; window < windows.length && windows[window]!.record < record; window++) {
      lines.push(windowLine(i, windows[window]!));
    }
  });
  const last = first + units.length - 1;
  for (const { message } of outcome.reports) {
    if (message.record === undefined && message.state === State.OPEN) lines.push(anomalyLine(last, message));
  }
  return { lines, records };
}

/** Returns the verdict of the strangest of `length` records from `first` on. Of equal ones, the last counts. */
function strangest(
  scores: Float64Array,
  streams: readonly string[],
  first: number,
  length: number,
): Omit<RecordLine, "i" | "kind"> {
  let at = first;
  let flagged = false;
  for (let record = first; record < first + length; record++) {
    if (scores[width * record]! >= scores[width * at]!) at = record;
    flagged ||= scores[width * record + 2] === 1;
  }
  return {
    stream: streams[at]!,
    score: scores[width * at]!,
    p: scores[width * at + 1]!,
    flagged,
    channel: nameOf(scores[width * at + 3]!),
  };
}

function windowLine(i: number, window: EngineWindow): WindowLine {
  return {
    i,
    kind: "window",
    stream: window.stream,
    score: window.score,
    p: window.pValue,
    flagged: window.flagged,
    channel: nameOf(window.channel),
    compression_ratio: window.compressionRatio,
    delta_bits: window.deltaBits,
    entropy: window.entropy,
    ncd: window.ncd,
  };
}

function anomalyLine(i: number, anomaly: Anomaly): AnomalyLine {
  return {
    i,
    kind: "anomaly",
    id: anomaly.id,
    stream: anomaly.stream,
    score: anomaly.score,
    p: anomaly.pValue,
    flagged: true,
    channel: channelName(anomaly.channel),
    start: formatNanos(anomaly.startTimeUnixNano),
    end: formatNanos(anomaly.endTimeUnixNano),
    explanation: anomaly.explanation,
  };
}

function nameOf(channel: number): string | null {
  return channel === 0 ? null : channelName(channel);
}
