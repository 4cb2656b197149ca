import type { AnomalySink } from "../../anomaly/report.ts";
import { steadyClock } from "../../base/clock.ts";
import type { Anomaly } from "../../gen/driftlock/v1/anomaly_pb.js";
import type { AnomalyDetail } from "../../store/index.ts";
import { anomalyJson, liveAnomalyJson } from "../anomaly.ts";
import type { LiveHub } from "./hub.ts";

/** The approximate size of an anomaly's fields without its texts. */
const fixedSize = 1_024;

function sizeOf({ explanation, record, stream }: Anomaly): number {
  return fixedSize + 2 * (explanation.length + stream.length + (record?.text.length ?? 0));
}

/** Publishes each report as a live event. */
export function liveSink(hub: LiveHub): AnomalySink {
  return ({ message }) => {
    // The excerpts are the largest part and are not sent.
    const { excerpts, ...report } = message;
    const found = steadyClock.now();
    hub.publish(message.tenant, {
      name: "anomaly",
      id: message.id,
      make: () => liveAnomalyJson(report, found),
      size: sizeOf(message),
    });
  };
}

export function publishJudgement(hub: LiveHub, anomaly: AnomalyDetail): void {
  const json = anomalyJson(anomaly);
  hub.publish(anomaly.tenant, {
    name: "judgement",
    id: anomaly.id,
    make: () => json,
    size: 2 * JSON.stringify(json).length,
  });
}
