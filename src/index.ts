/** The SDK's door: what a Node service imports. */
import "./base/require-node.ts";
import { native } from "./native.ts";

export type { Report } from "./anomaly/report.ts";
export { type ErrorCode, errorCodes } from "./base/error-codes.ts";
export { parseConfig } from "./config/load.ts";
export { ConfigError } from "./config/problem.ts";
export type { Config, DetectConfig } from "./config/schema.ts";
export { Engine, type EngineSettings, type EngineStats, type Judged } from "./engine/index.ts";
export type { Anomaly } from "./gen/driftlock/v1/anomaly_pb.js";
export type {
  CodecName,
  ColumnType,
  PermutationOptions,
  PermutationResult,
  WindowMetrics,
} from "./native.ts";
export { type Signal, signals } from "./otlp/protocol.ts";

/** The codecs and the CBAD mathematics; see `Native` for shapes, units and errors. */
export const {
  versions,
  compress,
  decompress,
  compressedSize,
  entropy,
  compressionRatio,
  deltaBits,
  ncd,
  ncdSizeMatched,
  windowMetrics,
  permutationTest,
  chacha20,
} = native;
