/**
 * Contradictions in reports of anomalies. A report that passes says that something unusual is outside of what is usual,
 * that a score reaches its limit, and nothing about what was not measured.
 */
import { type Anomaly, Channel, State } from "../../src/gen/driftlock/v1/anomaly_pb.js";

/** What is wrong with a report; empty if nothing is. */
export function contradictions(report: Anomaly): string[] {
  const faults: string[] = [];
  const expect = (right: boolean, fault: string) => {
    if (!right) faults.push(fault);
  };
  const { explanation } = report;
  expect(explanation !== "", "no explanation");
  expect(!/^[\s:;,.]/.test(explanation), "the sentence has no subject");
  expect(!/""|“”|''/.test(explanation), "empty quotes");
  expect(!/\b(nan|inf|infinity|undefined|null)\b/i.test(unquoted(explanation)), "a number is missing");
  expect(!/\s[;:,.]|\s{2}|[;:,]$/.test(unquoted(explanation)), "the sentence is incomplete");
  expect(report.startTimeUnixNano <= report.endTimeUnixNano, "it ends before it starts");
  if (report.state === State.ENDED) {
    expect(
      report.score === 0 && report.pValue === 0 && report.limit === 0,
      "the end of an anomaly has a score",
    );
    return faults;
  }
  for (const [name, value] of Object.entries({
    score: report.score,
    limit: report.limit,
    "p-value": report.pValue,
    bits: report.surpriseBits,
    "usual bits": report.baselineBits,
  })) {
    expect(!Number.isNaN(value), `${name} is NaN`);
  }
  expect(report.score > 0, "no score");
  expect(report.limit > 0, "no limit");
  expect(report.score >= report.limit, "the score is below its limit");
  expect(report.pValue > 0 && report.pValue < 1, "a p-value of 0 or 1");
  faults.push(
    ...ofRange(report),
    ...ofSentence(unquoted(explanation)),
    ...ofQuotes(report),
    ...ofParts(report),
  );
  return faults;
}

/** The texts of records are quoted, and may contain anything. */
const unquoted = (sentence: string) => sentence.replace(/"(?:[^"]|"(?=[^,;: ]))*"/g, '"…"');

const number = "(-?[0-9][0-9.]*(?:e[-+]?[0-9]+)?)";
const unit = "(?: (?:%|ms|s|min|h|days|bits|per second|[a-z ]{1,40}?))?";
/** "5; usually 1–3", "5 ms; usually 1 to 3 ms", "5 %; usually 3 %", and the same with "where 1 to 3 are usual". */
const comparisons = [
  new RegExp(
    `${number}${unit}(?: "…")?; usually(?: it changes by| from)? ${number}(?:(?:–| to )${number})?`,
    "g",
  ),
  new RegExp(`${number}${unit}(?: "…")? where ${number}(?: to ${number})?${unit} (?:is|are) usual`, "g"),
  new RegExp(`${number}${unit}, usually(?: from)? ${number}(?: to ${number})?`, "g"),
];

/** Numbers are counted in a time, which is not compared itself. */
const untimed = (sentence: string) =>
  sentence.replace(/ (?:in|for) [0-9.]+ (?:ms|s|min|h|days)(?=[;,: ]|$)/g, "");

function ofSentence(sentence: string): string[] {
  const faults: string[] = [];
  for (const pattern of comparisons) {
    for (const [text, observed, low, high] of untimed(sentence).matchAll(pattern)) {
      const [least, most] = [Number(low), Number(high ?? low)];
      if (least > most) faults.push(`a range is empty: ${text}`);
      // A fall is a negative change; "rose by 3 to 10" compares the change.
      const change = /(rose|fell) by ([^ ]+) to /.exec(sentence);
      const value = change ? (change[1] === "fell" ? -1 : 1) * Number(change[2]) : Number(observed);
      if (value >= least && value <= most) faults.push(`what is unusual is usual: ${text}`);
    }
  }
  const share = new RegExp(`${number} % of .*?[;,] usually(?: from)? ${number} %`).exec(sentence);
  if (share && share[1] === share[2]) faults.push("what is unusual is usual: the shares are the same");
  const bits = new RegExp(`${number} bits(?: each)?(?:; usually| where) ${number}`).exec(sentence);
  if (bits && Number(bits[1]) <= Number(bits[2])) faults.push(`what is unusual is usual: ${bits[0]}`);
  const rare = new RegExp(
    `${number}${unit}; (?:values|changes) between ${number} and ${number} are rare`,
  ).exec(sentence);
  if (rare && !(Number(rare[2]) <= Number(rare[3]))) faults.push(`a range is empty: ${rare[0]}`);
  const burst = new RegExp(`^A burst: ${number} .* ${number}(?:(?:–| to )${number})?`).exec(sentence);
  if (burst && Number(burst[1]) <= Number(burst[3] ?? burst[2])) faults.push("a burst of a usual number");
  if (/silence|no records/i.test(sentence) && /\b0(\.0+)? (a|per|records|are)\b/.test(sentence)) {
    faults.push("silence where nothing is usual");
  }
  if (/(took|for) -?0(\.0+)? (ms|s|min)\b/.test(sentence) || /(took|for) -/.test(sentence)) {
    faults.push("a duration of nothing or less");
  }
  const against = new RegExp(`score ${number} against a limit of ${number}`).exec(sentence);
  if (against && Number(against[1]) < Number(against[2]))
    faults.push("the score is said to be below its limit");
  if (against && Number(against[2]) === 0) faults.push("a limit of 0");
  if (/\bp = (0|1)(?![0-9.e])/.test(sentence)) faults.push("a p-value of 0 or 1 is said");
  return faults;
}

function ofRange({ expected, explanation, channel }: Anomaly): string[] {
  const { low, high } = expected ?? {};
  if (low === undefined && high === undefined) return [];
  if (low === undefined || high === undefined) return ["half a range"];
  if (!Number.isFinite(low) || !Number.isFinite(high)) return ["a range is not finite"];
  if (low > high) return ["a range is empty"];
  const value =
    channel === Channel.VALUE
      ? /^The (?:value|rate|mean)[a-z ]* (?:is|stayed at) ([^ ;]+)/.exec(explanation)
      : null;
  const x = value ? Number(value[1]) : Number.NaN;
  return x >= low && x <= high ? ["the value is within its usual range"] : [];
}

/** What is named instead of what came must be something else. */
function ofQuotes({ explanation, expected, record }: Anomaly): string[] {
  const faults: string[] = [];
  if (/broke off/.test(explanation) && expected?.next.includes("the end of the session")) {
    faults.push("a session broke off where its end was expected");
  }
  const child = /is a child of ("[^"]+").*one of ("[^"]+")/.exec(explanation);
  if (child && child[1] === child[2]) faults.push("the parent is the usual one");
  if (record && expected && expected.nearest !== "" && expected.nearest === record.text) {
    faults.push("the most similar record is the same");
  }
  if (expected?.next.some((next) => next === "")) faults.push("an empty template is expected");
  return faults;
}

function ofParts({ record, window }: Anomaly): string[] {
  const faults: string[] = [];
  const size = record ? Buffer.byteLength(record.text) : 0;
  if (record?.novel.some(({ start, end }) => start >= end || end > size))
    faults.push("new parts beyond the record");
  if (!window) return faults;
  const {
    records,
    rawBytes,
    compressionRatio,
    entropy,
    ncd,
    deltaBits,
    ncdSizeMatched,
    pValue,
    permutations,
  } = window;
  if ([compressionRatio, entropy, ncd, deltaBits, ncdSizeMatched].some((x) => !Number.isFinite(x))) {
    faults.push("a metric of the window is not finite");
  }
  if (records === 0 || rawBytes === 0n) faults.push("a window without records or bytes");
  if ((pValue !== undefined) !== permutations > 0) faults.push("a p-value without permutations");
  if (pValue !== undefined && !(pValue > 0 && pValue <= 1)) faults.push("a p-value out of range");
  return faults;
}

/** Counts contradictions over the reports of a bench. */
export class Contradictions {
  reports = 0;
  /** The number of reports with a contradiction, and of each kind of contradiction. */
  contradictory = 0;
  readonly kinds = new Map<string, number>();
  /** The first contradictory sentences. */
  readonly examples: string[] = [];

  add(report: Anomaly): void {
    this.reports++;
    const faults = contradictions(report);
    if (faults.length === 0) return;
    this.contradictory++;
    for (const fault of faults) {
      const kind = fault.replace(/:.*/s, "");
      this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1);
    }
    if (this.examples.length < 10) this.examples.push(`${report.explanation} [${faults.join("; ")}]`);
  }

  /** The share of contradictory reports, such as "0 of 120". */
  toString(): string {
    return `${this.contradictory} of ${this.reports}`;
  }
}
