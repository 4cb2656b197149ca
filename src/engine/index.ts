export type { Anomaly } from "../gen/driftlock/v1/anomaly_pb.js";
export type { EngineStats, EngineWindow } from "../native.ts";
export { Engine, type EngineSettings, type FeedbackOutcome, type Judged } from "./engine.ts";
export { type FiguresPage, type StreamFigures, type StreamState, streamStates } from "./figures.ts";
export { installationHashKey } from "./hash-key.ts";
export { QuietWatch } from "./silence-clock.ts";
export { SnapshotFile, type SnapshotLoad } from "./snapshot.ts";
