import type { AnomalySink } from "../anomaly/report.ts";
import type { Engine } from "../engine/index.ts";
import type { AnomalyDetail, AnomalyPatch, IncidentDetail, IncidentPatch } from "../store/index.ts";
import type { Logger } from "../telemetry/log.ts";

/** Lets the stream learn from a person's decision about an anomaly. The report that it has ended is emitted like any other. */
export function applyFeedback(
  engine: Engine,
  { tenant, id }: AnomalyDetail,
  { state }: AnomalyPatch,
  emit: AnomalySink,
  log: Logger,
): void {
  if (state !== "accepted" && state !== "false") return;
  const outcome = state === "accepted" ? engine.accept(tenant, id) : engine.reject(tenant, id);
  outcome.then(
    ({ found, ended }) => {
      if (!found) {
        const fields = { tenant, anomaly: id, state };
        log.info(fields, "no stream remembers the anomaly: its limits stay as they are");
      }
      if (ended) emit(ended);
    },
    (err) => log.error({ err, tenant, anomaly: id }, "feedback on the anomaly could not be applied"),
  );
}

/** Lets all streams of an incident's evidence learn that it was none. */
export async function applyIncidentFeedback(
  engine: Engine,
  { message: { tenant, id }, anomalyIds }: IncidentDetail,
  { state }: IncidentPatch,
  emit: AnomalySink,
  log: Logger,
): Promise<void> {
  if (state !== "false") return;
  let applied = 0;
  try {
    for (const anomaly of anomalyIds) {
      const { found, ended } = await engine.reject(tenant, anomaly);
      if (found) applied += 1;
      if (ended) emit(ended);
    }
    const fields = { tenant, incident: id, anomalies: anomalyIds.length, applied };
    log.info(fields, "the limits of the incident's streams were adapted");
  } catch (err) {
    log.error({ err, tenant, incident: id }, "feedback on the incident could not be applied");
  }
}
