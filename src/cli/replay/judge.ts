import type { Anomaly, Engine, Judged } from "../../engine/index.ts";
import { channelName } from "../../telemetry/anomaly-log.ts";
import { type Description, describeRecords } from "./describe.ts";
import type { Input } from "./input.ts";

/** Requests in the engine at once: enough to keep its threads busy while lines are written. */
const depth = 8;

export interface RecordLine {
  i: number;
  kind: "record";
  stream: string;
  /** Higher is stranger. */
  score: number;
  p: number;
  flagged: boolean;
  /** Null where nothing was flagged. */
  channel: string | null;
}

/** The window that ends with record `i`, where the engine reported an anomaly. */
export interface WindowLine {
  i: number;
  kind: "window";
  stream: string;
  /** The anomaly's. */
  score: number;
  /** Of the permutation test. */
  p: number;
  flagged: true;
  channel: string;
  anomaly: string;
  records: number;
  codec: string;
  compression_ratio: number;
  delta_bits: number;
  entropy: number;
  ncd: number;
  ncd_size_matched: number;
}

export type Line = RecordLine | WindowLine;

/** Of one request, in the order of the file. */
export interface Judgement {
  lines: Line[];
  /** Records of the request. */
  records: number;
}

/** Judges requests in their order; what one gives depends on those before it alone. */
export async function* judge(
  inputs: AsyncIterable<Input>,
  engine: Engine,
  streamBy: readonly string[],
): AsyncGenerator<Judgement, void> {
  const pending: { input: Input; judged: Promise<Judged> }[] = [];
  let next = 0;
  const settle = async (): Promise<Judgement> => {
    const { input, judged } = pending.shift()!;
    const outcome = await judged.catch((error: Error) => {
      throw new Error(`${input.place}: ${error.message}`, { cause: error });
    });
    const judgement = toLines(input, outcome, streamBy, next);
    next += input.units?.length ?? outcome.records;
    return judgement;
  };
  for await (const input of inputs) {
    const judged = engine.process(input.signal, "default", input.body);
    // Awaited in turn; until then a failure must not be an unhandled one.
    judged.catch(() => {});
    pending.push({ input, judged });
    if (pending.length === depth) yield await settle();
  }
  while (pending.length > 0) yield await settle();
}

function toLines(input: Input, outcome: Judged, streamBy: readonly string[], first: number): Judgement {
  const { records, anomalies, forward, scores = new Float64Array(0) } = outcome;
  const descriptions = describeRecords(input.signal, forward ?? input.body, streamBy);
  if (descriptions.length !== records || scores.length !== 3 * records) {
    throw new Error(`${input.place}: holds ${descriptions.length} records, the engine read ${records}`);
  }
  const units = input.units ?? Array.from<number>({ length: records }).fill(1);
  const lines: Line[] = [];
  let record = 0;
  let reported = 0;
  units.forEach((length, unit) => {
    const i = first + unit;
    lines.push({ i, kind: "record", ...strangest(scores, descriptions, record, length) });
    record += length;
    const last = unit === units.length - 1;
    for (; reported < anomalies.length; reported++) {
      const anomaly = anomalies[reported]!;
      // One that is about no record comes with the record before it.
      if (!last && (anomaly.record?.index ?? 0) >= record) break;
      const window = windowLine(i, anomaly);
      if (window) lines.push(window);
    }
  });
  return { lines, records };
}

/** Of the records `first` to `first + length`: what the strangest one got. A later one wins a tie. */
function strangest(
  scores: Float64Array,
  descriptions: readonly Description[],
  first: number,
  length: number,
): Omit<RecordLine, "i" | "kind"> {
  let at = first;
  let flagged: number | undefined;
  for (let record = first; record < first + length; record++) {
    if (scores[3 * record]! >= scores[3 * at]!) at = record;
    if (scores[3 * record + 2] === 1) flagged = record;
  }
  return {
    stream: descriptions[at]!.stream,
    score: scores[3 * at]!,
    p: scores[3 * at + 1]!,
    flagged: flagged !== undefined,
    channel: descriptions[flagged ?? at]!.channel,
  };
}

function windowLine(i: number, { id, stream, score, channel, window }: Anomaly): WindowLine | undefined {
  if (window === undefined) return undefined;
  return {
    i,
    kind: "window",
    stream,
    score,
    p: window.pValue,
    flagged: true,
    channel: channelName(channel),
    anomaly: id,
    records: window.records,
    codec: window.codec,
    compression_ratio: window.compressionRatio,
    delta_bits: window.deltaBits,
    entropy: window.entropy,
    ncd: window.ncd,
    ncd_size_matched: window.ncdSizeMatched,
  };
}
