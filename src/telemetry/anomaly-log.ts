import { type Anomaly, Channel } from "../gen/driftlock/v1/anomaly_pb.js";
import type { Logger } from "./log.ts";

/** Lines a second; a storm of anomalies must not become a storm of log lines. */
const linesPerSecond = 10;

/** `content`, `sequence` …, as in labels and logs. */
export function channelName(channel: Channel): string {
  return (Channel[channel] ?? "OTHER").toLowerCase();
}

/**
 * Writes anomalies to the log, so many a second; the next line says how many were not written.
 * @param now milliseconds of a monotonic clock.
 */
export function anomalyLog(
  log: Logger,
  now: () => number = () => performance.now(),
): (anomaly: Anomaly) => void {
  let second = 0;
  let written = 0;
  let skipped = 0;
  return (anomaly) => {
    const current = Math.floor(now() / 1_000);
    if (current !== second) {
      second = current;
      written = 0;
    }
    if (written === linesPerSecond) {
      skipped++;
      return;
    }
    written++;
    const { id, stream, channel, score, limit, pValue, occurrence, explanation } = anomaly;
    log.info(
      {
        anomaly: {
          id,
          stream,
          channel: channelName(channel),
          score,
          limit,
          p_value: pValue,
          occurrence: Number(occurrence),
          explanation,
        },
        ...(skipped > 0 ? { anomalies_not_logged: skipped } : {}),
      },
      "anomaly",
    );
    skipped = 0;
  };
}
