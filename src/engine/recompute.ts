import { decodeReport, type Report } from "../anomaly/report.ts";
import { native } from "../native.ts";

/**
 * Computes the verdict again that began an anomaly, from the `recording` of its first report. The result has the id, the channel, the
 * score, the limit, the p-value, the explanation and the measures of the window bit for bit as they were reported, unless the recording
 * or the report was changed. The excerpts are there as `baselineText` and `windowText`, not compressed.
 * @throws {Error} with the code ERR_DRIFTLOCK_DAMAGED_INPUT if the bytes are no recording, or one whose verdict begins no anomaly;
 * ERR_DRIFTLOCK_RECORDING_FORMAT if another version of Driftlock must be used.
 */
export function recompute(recording: Uint8Array): Report {
  return decodeReport(native.recompute(recording));
}
