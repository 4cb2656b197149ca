/** Driftlock within the OpenTelemetry SDK for JavaScript, 2.x and 3.x, of which it needs no package. */
import "../../base/require-node.ts";

export { Driftlock } from "../driftlock.ts";
export { sharedDriftlock } from "../shared.ts";
export { type ExporterLike, type ExportResultLike, withDriftlock } from "./exporter.ts";
export { DriftlockLogRecordProcessor, DriftlockSpanProcessor } from "./processors.ts";
