/** Anomalies as JSON, as the API returns them. */
import { channelName, severityName, signalName } from "../anomaly/names.ts";
import { streamId } from "../anomaly/stream-id.ts";
import { type Anomaly, State } from "../gen/driftlock/v1/anomaly_pb.js";
import type { AnomalyDetail, AnomalySummary, StoredReport } from "../store/index.ts";
import type { AnomalyDetailJson, AnomalyJson, CompactAnomalyJson } from "./anomaly-schema.ts";
import { reportJson, safeCount } from "./report.ts";
import { formatMs, formatNanos } from "./time.ts";

const stored = (report: StoredReport | undefined) => (report ? reportJson(report.message) : null);

export function anomalyJson(summary: AnomalySummary): AnomalyJson {
  return {
    id: summary.id,
    stream: summary.stream,
    stream_id: summary.streamId,
    service: summary.service,
    signal: signalName(summary.signal),
    channels: summary.channels.map(channelName),
    severity: severityName(summary.severity),
    state: summary.state,
    start_time: formatNanos(summary.startTime),
    end_time: formatNanos(summary.endTime),
    occurrences: safeCount(summary.occurrences),
    recorded_at: formatMs(summary.recordedAt),
    changed_at: formatMs(summary.changedAt),
    incident: summary.incident ?? null,
    report: stored(summary.strongest),
  };
}

export function eventsJson({ events }: Pick<AnomalyDetail, "events">): AnomalyDetailJson["events"] {
  return events.map(({ state, author, time, note }) => ({ state, author, time: formatMs(time), note }));
}

/** @param excerpt_texts the excerpts as texts; null if there are none, or they cannot be read */
export function anomalyDetailJson(
  detail: AnomalyDetail,
  excerpt_texts: AnomalyDetailJson["excerpt_texts"] = null,
): AnomalyDetailJson {
  const excerpts = detail.first?.message.excerpts;
  return {
    ...anomalyJson(detail),
    first: stored(detail.first),
    examples: detail.examples.map(({ message }) => reportJson(message)),
    events: eventsJson(detail),
    excerpts: excerpts
      ? {
          baseline: Buffer.from(excerpts.baseline).toString("base64"),
          window: Buffer.from(excerpts.window).toString("base64"),
        }
      : null,
    excerpt_texts,
    settings: detail.settings.map(({ hash, body }) => ({ hash, body: JSON.parse(body) as unknown })),
  };
}

export function compactAnomalyJson(summary: AnomalySummary): CompactAnomalyJson {
  const { stream_id: _, recorded_at: __, changed_at: ___, report, ...rest } = anomalyJson(summary);
  if (report === null) return { ...rest, report };
  const { score, limit, margin, explanation } = report;
  return { ...rest, report: { score, limit, margin, explanation } };
}

/** Returns a report that is not stored yet as an anomaly, as far as the report alone describes it. */
export function liveAnomalyJson(report: Anomaly, now: number): AnomalyJson {
  return {
    id: report.id,
    stream: report.stream,
    stream_id: streamId(report.stream),
    service: report.serviceName,
    signal: signalName(report.signal),
    channels: [channelName(report.channel)],
    severity: severityName(report.severity),
    state: report.state === State.ENDED ? "ended" : "open",
    start_time: formatNanos(report.startTimeUnixNano),
    end_time: formatNanos(report.endTimeUnixNano),
    occurrences: safeCount(report.occurrence),
    recorded_at: formatMs(now),
    changed_at: formatMs(now),
    incident: null,
    report: reportJson(report),
  };
}
