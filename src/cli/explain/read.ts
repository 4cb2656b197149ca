/** Reads anomalies from JSON, in every form in which Driftlock returns them. */
import { z } from "zod";
import { anomalyDetailSchema } from "../../json/anomaly-schema.ts";

/**
 * An anomaly as `GET /v1/anomalies/{id}` returns it. Lists, exports and live events have only the anomaly and one report, and
 * exports of earlier versions have no incident.
 */
const documentSchema = anomalyDetailSchema.partial({
  incident: true,
  first: true,
  examples: true,
  events: true,
  excerpts: true,
  excerpt_texts: true,
  settings: true,
});
export type AnomalyDocument = z.output<typeof documentSchema>;

/** A line of `driftlock replay` about a record, a window, or a finding without a record. */
const verdictSchema = z.object({
  i: z.number(),
  kind: z.enum(["record", "window", "anomaly"]),
  stream: z.string(),
  score: z.number().nullable(),
  p: z.number().nullable(),
  flagged: z.boolean(),
  channel: z.string().nullable(),
  compression_ratio: z.number().optional(),
  delta_bits: z.number().optional(),
  entropy: z.number().optional(),
  ncd: z.number().optional(),
  id: z.string().optional(),
  start: z.string().optional(),
  end: z.string().optional(),
  explanation: z.string().optional(),
});
export type Verdict = z.output<typeof verdictSchema>;

export interface Found {
  anomalies: AnomalyDocument[];
  /** The flagged verdicts. */
  verdicts: Verdict[];
}

/** Matches the lines of an event stream that are no data, as `GET /v1/stream/anomalies` sends them. */
const eventLine = /^(?::|(?:id|event|retry):)/;

/**
 * @param text a JSON document, one document per line, or an event stream
 * @param name where the text comes from, for errors
 * @throws {Error} that names the line and the property
 */
export function readAnomalies(text: string, name: string): Found {
  const found: Found = { anomalies: [], verdicts: [] };
  const whole = parse(text);
  if ("value" in whole) {
    take(whole.value, name, found);
    return found;
  }
  const lines = text.split("\n");
  for (const [i, line] of lines.entries()) {
    if (line.trim() === "" || eventLine.test(line)) continue;
    const parsed = parse(line.replace(/^data: ?/, ""));
    if ("value" in parsed) take(parsed.value, `${name}: line ${i + 1}`, found);
    else
      throw new Error(`${name}: line ${i + 1} is not JSON (${parsed.reason}), and neither is the whole text`);
  }
  return found;
}

function parse(text: string): { value: unknown } | { reason: string } {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { reason: (error as Error).message };
  }
}

function take(value: unknown, place: string, found: Found): void {
  if (Array.isArray(value)) {
    for (const [i, each] of value.entries()) take(each, `${place}: item ${i}`, found);
    return;
  }
  if (typeof value !== "object" || value === null) {
    throw new Error(`${place} is not an anomaly but ${value === null ? "null" : `a ${typeof value}`}`);
  }
  // This is a page of a list.
  if ("items" in value && Array.isArray(value.items)) {
    take(value.items, place, found);
    return;
  }
  // This is a live event, from a WebSocket or an event stream; some are about the events themselves.
  if ("event" in value && "data" in value) {
    if (value.event === "anomaly" || value.event === "judgement") take(value.data, place, found);
    return;
  }
  if ("kind" in value && (value.kind === "record" || value.kind === "window" || value.kind === "anomaly")) {
    const verdict = check(verdictSchema, value, place, "not a line of a replay");
    if (verdict.flagged) found.verdicts.push(verdict);
    return;
  }
  if ("reason" in value && !("id" in value)) return;
  found.anomalies.push(check(documentSchema, value, place, "not an anomaly as the API returns it"));
}

function check<T extends z.ZodType>(schema: T, value: object, place: string, otherwise: string): z.output<T> {
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const [issue] = error.issues;
  const member = issue!.path.length > 0 ? `${issue!.path.join(".")}: ` : "";
  throw new Error(`${place} is ${otherwise}: ${member}${issue!.message}`);
}
