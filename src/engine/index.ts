export type { EngineStats, EngineWindow } from "../native.ts";
export type { Restored, StateRecord } from "./checkpoint.ts";
export {
  type CallOptions,
  Engine,
  EnginePool,
  type EngineSettings,
  type FeedbackOutcome,
  type Findings,
  type Judged,
} from "./engine.ts";
export {
  configuredHashKey,
  existingHashKey,
  fingerprintOf,
  installationHashKey,
  isPublic,
  newHashKey,
  writeHashKey,
} from "./hash-key.ts";
export { recompute } from "./recompute.ts";
export { SilenceClock } from "./silence-clock.ts";
export {
  SnapshotFile,
  type SnapshotLoad,
  settingsChanges,
  snapshotFormat,
  snapshotSettings,
} from "./snapshot.ts";
export { decodeStatistics, type StatisticsPage, type StreamStatistics } from "./statistics.ts";
