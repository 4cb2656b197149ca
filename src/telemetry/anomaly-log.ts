import { channelName } from "../anomaly/names.ts";
import type { AnomalySink } from "../anomaly/report.ts";
import type { Logger } from "./log.ts";

/** Maximum number of lines per second: a storm of anomalies must not become a storm of log lines. */
const linesPerSecond = 10;

/**
 * Writes anomalies to the log, up to a number of lines per second. The next line has the number of anomalies that were
 * not written.
 * @param now milliseconds of a monotonic clock.
 */
export function anomalyLog(log: Logger, now: () => number = () => performance.now()): AnomalySink {
  let second = 0;
  let written = 0;
  let skipped = 0;
  return ({ message }) => {
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
    const { id, stream, channel, score, limit, pValue, occurrence, explanation } = message;
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
