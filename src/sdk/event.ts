import type { ChannelName } from "../anomaly/names.ts";
import type { Report } from "../anomaly/report.ts";
import type { Signal } from "../otlp/protocol.ts";

/**
 * A report of an anomaly: the first one, a later one as the anomaly grows, or the one that says that it has ended. The values of one
 * anomaly have the same `id`.
 */
export interface AnomalyEvent {
  /** The same for all reports of an anomaly. */
  readonly id: string;
  /** Whether the anomaly is open, or has ended because nothing was flagged for a while. */
  readonly state: "open" | "ended";
  /** The stream's key as shown to people, such as `logs service.name=checkout`. */
  readonly stream: string;
  /** The value of the resource's `service.name`; empty if it has none. */
  readonly service: string;
  /** The signal of the stream. */
  readonly signal: Signal;
  /** The channel that found it: one way to look at a stream. */
  readonly channel: ChannelName | "unspecified";
  /** How grave the anomaly is. */
  readonly severity: "low" | "medium" | "high" | "critical" | "unspecified";
  /** Number of flagged verdicts so far. An anomaly is reported at 1, 2, 4, 8 and so on, and whenever there is news. */
  readonly occurrence: number;
  /** Whether this report shows what no earlier one did. The first report always does. */
  readonly news: boolean;
  /** What is strange, in one plain sentence. */
  readonly explanation: string;
  /** The score in the channel's own unit; higher is stranger. 0 if the anomaly has ended, like the next two. */
  readonly score: number;
  /** The stream's alarm limit for the score. */
  readonly limit: number;
  /** The probability of such a score in normal data. */
  readonly pValue: number;
  /** Event time in nanoseconds since 1970 of the record, or of the end of the tick, that the report is about. */
  readonly time: bigint;
  /** The field to blame; empty if none stands out. */
  readonly field: string;
  /** The record as it was judged, with personal and secret values masked; empty if the report is about no single record. */
  readonly text: string;
  /** The number that the report is about, such as a metric's value or a duration; undefined if it is about none. */
  readonly value: number | undefined;
  /** The unit of `value` by UCUM; empty if it has none. */
  readonly unit: string;
  /** The trace of the record in hexadecimal; empty if it has none. */
  readonly traceId: string;
  /** The span of the record in hexadecimal; empty if it has none. */
  readonly spanId: string;
  /** All that the engine reports: the message driftlock.v1.Anomaly, and its bytes, which are what evidence hashes. */
  readonly report: Report;
}
