export type { EngineStats, EngineWindow } from "../native.ts";
export { Engine, type EngineSettings, type FeedbackOutcome, type Findings, type Judged } from "./engine.ts";
export {
  configuredHashKey,
  existingHashKey,
  installationHashKey,
  isPublic,
  newHashKey,
  writeHashKey,
} from "./hash-key.ts";
export { SilenceClock } from "./silence-clock.ts";
export { SnapshotFile, type SnapshotLoad } from "./snapshot.ts";
export type { StatisticsPage, StreamStatistics } from "./statistics.ts";
