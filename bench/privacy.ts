/**
 * `make bench-privacy`: how many personal and secret values the detectors find in labelled sentences, how many they find where
 * there are none, and what they cost. Prints Markdown.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import process from "node:process";
import { type Detector, detectors } from "../src/base/detectors.ts";
import { type EnginePrivacy, native } from "../src/native.ts";
import { type Signal, signals } from "../src/otlp/protocol.ts";
import { privacyCost, privacyCostTable, shopRequests } from "./privacy-cost.ts";
import { labelledLines } from "./quality/log-sets.ts";
import { data } from "./quality/places.ts";
import { encodeLogs } from "./quality/requests.ts";
import { round, table } from "./table.ts";

/** A part of a text, in UTF-16 code units. */
interface Part {
  begin: number;
  end: number;
}

/** The labels of the sentences that detectors look for. Names of people, streets and the like are none. */
const labelled: { [type: string]: Detector } = {
  EMAIL_ADDRESS: "email",
  PHONE_NUMBER: "phone",
  IBAN_CODE: "iban",
  CREDIT_CARD: "card",
  IP_ADDRESS: "ip",
  US_SSN: "ssn",
};

const sentences = `${data}/pii/presidio-synthetic-750.jsonl`;

/** Returns the parts of a text that one detector finds: those that its mask stands for. */
function found(text: string, detector: Detector): Part[] {
  const policy: EnginePrivacy = { forwarded: "flag", rules: [{ detectors: [detector], forwarded: "mask" }] };
  const pieces = native.textMask(policy, "forwarded")(text).split(`[${detector}]`);
  const parts: Part[] = [];
  let begin = pieces[0]!.length;
  for (let i = 1; i < pieces.length; i++) {
    const piece = pieces[i]!;
    const end = i === pieces.length - 1 ? text.length - piece.length : text.indexOf(piece, begin + 1);
    parts.push({ begin, end });
    begin = end + piece.length;
  }
  return parts;
}

const overlap = (a: Part) => (b: Part) => a.begin < b.end && b.begin < a.end;

async function recallTable(): Promise<string> {
  const lines = (await readFile(sentences, "utf8")).split("\n").slice(0, -1);
  const counts = new Map(detectors.map((each) => [each, { values: 0, found: 0, hits: 0, right: 0 }]));
  for (const line of lines) {
    const { text, spans } = JSON.parse(line) as {
      text: string;
      spans: { type: string; start: number; end: number }[];
    };
    // The labels count code points.
    const points = [...text];
    const at = (point: number) => points.slice(0, point).join("").length;
    for (const [detector, count] of counts) {
      const values = spans
        .filter(({ type }) => labelled[type] === detector)
        .map(({ start, end }) => ({ begin: at(start), end: at(end) }));
      const hits = found(text, detector);
      count.values += values.length;
      count.found += values.filter((value) => hits.some(overlap(value))).length;
      count.hits += hits.length;
      count.right += hits.filter((hit) => values.some(overlap(hit))).length;
    }
  }
  const share = (part: number, whole: number) => (whole === 0 ? "–" : (part / whole).toFixed(3));
  const rows = [...counts]
    .filter(([, { values, hits }]) => values + hits > 0)
    .map(([detector, { values, found, hits, right }]) => ({
      detector,
      values,
      found,
      recall: share(found, values),
      hits,
      right,
      precision: share(right, hits),
    }));
  return `${lines.length} sentences\n\n${table(rows)}`;
}

function* logRequests(texts: readonly string[]): Generator<Buffer> {
  for (const value of texts) yield encodeLogs("bench", [{ body: { value: { case: "stringValue", value } } }]);
}

/** The attributes of that telemetry whose names say that they identify a person or a session. */
const identifying = ["enduser.id", "session.id"];

/** @param requests requests with one record each, so that each text in which something is found is an example */
function falseHits(name: string, signal: Signal, requests: Iterable<Buffer>) {
  let records = 0;
  const counts = new Map<string, number>();
  for (const request of requests) {
    const redacted = native.redact({ forwarded: "mask" }, "forwarded", signal, "default", request);
    records += redacted.records;
    for (const { detector, attribute } of redacted.examples) {
      if (!identifying.includes(attribute)) counts.set(detector, (counts.get(detector) ?? 0) + 1);
    }
  }
  const hits = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return {
    data: name,
    records,
    "false hits": hits,
    "per million": round((1e6 * hits) / records, 1),
    detectors: [...counts].map(([detector, count]) => `${detector} ${count}`).join(", "),
  };
}

async function falseHitsTable(): Promise<string> {
  const rows = [];
  for (const file of ["bgl_2k.tsv", "hdfs_20k.tsv"]) {
    const lines = await labelledLines(file);
    rows.push(falseHits(file, "logs", logRequests(lines.map(({ text }) => text))));
  }
  for (const signal of signals) {
    rows.push(falseHits(`generated ${signal}`, signal, shopRequests(signal, 200_000, 1)));
  }
  return table(rows);
}

if (!existsSync(sentences)) {
  process.stderr.write(`bench-privacy: skipped, nothing was measured: ${sentences} is missing\n`);
  process.stderr.write("bench-privacy: QUALITY_DATA names the folder of the labelled data\n");
  process.exit(0);
}
process.stdout.write(`### Values that are found\n\n${await recallTable()}\n\n`);
process.stdout.write(
  `### False hits\n\nWithout ${identifying.join(" and ")}, which are found by their names.\n\n${await falseHitsTable()}\n\n`,
);
process.stdout.write(`### Time per record, by policy\n\n${privacyCostTable(await privacyCost())}\n`);
