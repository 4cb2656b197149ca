/**
 * Driftlock as a transport of pino, which runs it in a worker thread: `pino({ transport: { target: "driftlock/pino" } })`.
 */
import "../base/require-node.ts";
import { appendFileSync } from "node:fs";
import type { Transform } from "node:stream";
import build from "pino-abstract-transport";
import { Driftlock } from "./driftlock.ts";
import type { AnomalyEvent } from "./event.ts";
import type { DriftlockOptions } from "./options.ts";

/** Options of the transport. They are cloned into the worker thread, so that there are no functions among them. */
export interface DriftlockTransportOptions
  extends Pick<DriftlockOptions, "service" | "detect" | "privacy" | "maxPendingBytes" | "key"> {
  /**
   * The file to which reports of anomalies are appended, a line of JSON each: its path, or a file descriptor. 2, the standard error
   * output, by default.
   */
  destination?: string | number;
}

const standardError = 2;
/** pino's level of a warning. */
const warning = 40;
/** pino's levels and OpenTelemetry's severity numbers both go up in steps: 10 to 60, and 1 to 21. */
const toSeverity = (level: number) => Math.min(24, Math.max(1, Math.round((level / 10 - 1) * 4) + 1));

/** Returns a transport. pino calls it. */
export default function transport({
  destination = standardError,
  ...options
}: DriftlockTransportOptions = {}): Transform {
  const driftlock = new Driftlock({
    ...options,
    onAnomaly: (event) => {
      appendFileSync(destination, `${line(event)}\n`);
    },
  });
  return build(
    async (source) => {
      for await (const record of source) push(driftlock, record as { [name: string]: unknown });
    },
    { close: () => driftlock.close() },
  ) as Transform;
}

/** Pushes a record as pino writes it. */
function push(driftlock: Driftlock, record: { [name: string]: unknown }): void {
  const { level, time, msg, pid: _, hostname: __, trace_id, span_id, ...attributes } = record;
  const at = typeof time === "string" ? Date.parse(time) : Number(time);
  driftlock.logs.push({
    body: msg ?? "",
    severity: toSeverity(Number(level)),
    attributes,
    ...(at >= 0 && { time: at }),
    ...(typeof trace_id === "string" && { traceId: trace_id }),
    ...(typeof span_id === "string" && { spanId: span_id }),
  });
}

/** Returns a report as a line like pino's own. */
function line({ report: _, explanation, time, ...event }: AnomalyEvent): string {
  return JSON.stringify({
    level: warning,
    time: Date.now(),
    msg: explanation,
    anomaly: { ...event, time: new Date(Number(time / 1_000_000n)).toISOString() },
  });
}
