/**
 * The engine that judges OTLP requests, and its configuration: `driftlock/engine`.
 *
 * Errors have a stable `code`; `errorCodes` says what each one means.
 */
import "./base/require-node.ts";

export {
  type AnomalyState,
  channelName,
  channelNames,
  type Disposition,
  type StreamState,
  severityName,
  severityNames,
  signalName,
} from "./anomaly/names.ts";
export type { Report } from "./anomaly/report.ts";
export { type ErrorCode, errorCodes } from "./base/error-codes.ts";
export { parseConfig } from "./config/load.ts";
export { ConfigError, type Problem } from "./config/problem.ts";
export { type Config, configSchema, type DetectConfig } from "./config/schema.ts";
export {
  Engine,
  type EngineSettings,
  type EngineStats,
  type EngineWindow,
  type FeedbackOutcome,
  type Findings,
  type Judged,
  recompute,
  type StatisticsPage,
  type StreamStatistics,
} from "./engine/index.ts";
export {
  type Anomaly,
  Channel,
  type Excerpts,
  type Expectation,
  type Range,
  type Record as AnomalyRecord,
  Severity,
  Signal as AnomalySignal,
  State,
  type Window as AnomalyWindow,
} from "./gen/driftlock/v1/anomaly_pb.js";
export { type Signal, signals } from "./otlp/protocol.ts";
