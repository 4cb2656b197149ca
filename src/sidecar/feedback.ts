import type { AnomalySink } from "../anomaly/report.ts";
import type { Engine } from "../engine/index.ts";
import type { AnomalyDetail, AnomalyPatch } from "../store/index.ts";
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
