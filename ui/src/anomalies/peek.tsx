/** An anomaly beside the list. */
import { sentence } from "../parts/format.ts";
import { Failure, Skeleton } from "../parts/states.tsx";
import { address } from "../shell/router.ts";
import { Actions, AnomalyBody, useAnomaly } from "./detail.tsx";
import { headlineOf } from "./explanation.ts";
import { Facts } from "./facts.tsx";

export function Peek({ id, onClose }: { id: string; onClose(): void }) {
  const { data: anomaly, error, reload } = useAnomaly(id);
  return (
    <aside class="peek" aria-label="Selected anomaly">
      <header>
        <a class="button" href={address(`/anomalies/${encodeURIComponent(id)}`)}>
          Open the page
        </a>
        <button type="button" class="bare" aria-label="Close" onClick={onClose}>
          ×
        </button>
      </header>
      {error && <Failure error={error} retry={reload} stale={anomaly !== undefined} />}
      {anomaly === undefined ? (
        !error && <Skeleton />
      ) : (
        <>
          <h2 class="sentence">{sentence(headlineOf(anomaly))}</h2>
          <Facts anomaly={anomaly} />
          <Actions id={id} />
          <AnomalyBody anomaly={anomaly} brief />
        </>
      )}
    </aside>
  );
}
