/** What the records of the topics mean: their headers, and the control records that pass through `in` beside data. */
import type { Signal } from "../otlp/protocol.ts";
import { signals } from "../otlp/protocol.ts";
import type { LogRecord } from "./client.ts";

/** What a record in `in` asks a worker to do, in the order of the log. */
export type Input =
  /** An Export*ServiceRequest. */
  | { kind: "data"; signal: Signal; tenant: string; body: Buffer }
  /** Time passes, also for those who send nothing. */
  | { kind: "time" }
  /** A person has decided about an anomaly. */
  | { kind: "feedback"; tenant: string; anomaly: string; decision: "accepted" | "false" }
  /** Scores that a budget withheld are usual. */
  | { kind: "tolerate"; tenant: string; stream: string; channel: number; score: number }
  /** The policies that tenants have set, as JSON by tenant: all of them. */
  | { kind: "policies"; ofTenants: [tenant: string, policies: string][] };

export type Control = Exclude<Input, { kind: "data" }>;

/** Returns the headers of a request, in `in` and in `out`. */
export const dataHeaders = (signal: Signal, tenant: string) => ({ signal, tenant });

export const controlHeaders = ({ kind }: Control) => ({ kind });
export const controlValue = ({ kind, ...rest }: Control): Buffer => Buffer.from(JSON.stringify(rest));

/** Returns what a record in `in` asks for; undefined if this version of Driftlock does not know it. */
export function inputOf({ headers, value }: LogRecord): Input | undefined {
  if (value === null) return undefined;
  const kind = headers.get("kind");
  if (kind === undefined) {
    const signal = signals.find((each) => each === headers.get("signal"));
    const tenant = headers.get("tenant");
    return signal === undefined || tenant === undefined
      ? undefined
      : { kind: "data", signal, tenant, body: value };
  }
  switch (kind) {
    case "time":
    case "feedback":
    case "tolerate":
    case "policies":
      return { kind, ...JSON.parse(value.toString()) };
    default:
      return undefined;
  }
}
