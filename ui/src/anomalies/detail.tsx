/** An anomaly with everything that is known about it. */
import { useEffect } from "preact/hooks";
import { request } from "../api/client.ts";
import { anomalyFeed } from "../api/live.ts";
import { useLoad } from "../api/load.ts";
import { mayChange } from "../api/session.ts";
import type { AnomalyDetail } from "../api/types.ts";
import { MakeEvidence } from "../evidence/make.tsx";
import { sentence } from "../parts/format.ts";
import { judge, onJudged, undoable } from "../parts/judge.tsx";
import { Failure, Skeleton } from "../parts/states.tsx";
import { useCommands } from "../shell/keys.ts";
import { address } from "../shell/router.ts";
import { useTitle } from "../shell/title.ts";
import { decisions } from "./decisions.ts";
import { Excerpts } from "./excerpts.tsx";
import { headlineOf } from "./explanation.ts";
import { Facts } from "./facts.tsx";
import { History } from "./history.tsx";
import { RecordView } from "./record.tsx";
import { Related } from "./related.tsx";
import { ScoreChart } from "./score-chart.tsx";
import { Expected, FieldCosts, Members, Other, Score, Settings, WindowMeasures } from "./sections.tsx";

/** Loads an anomaly, and again when something happens to it. */
export function useAnomaly(id: string) {
  const loaded = useLoad(`anomaly ${id}`, (signal) =>
    request<AnomalyDetail>(`/v1/anomalies/${encodeURIComponent(id)}`, { signal }),
  );
  const { reload } = loaded;
  useEffect(() => {
    const ends = [
      onJudged(reload),
      anomalyFeed.listen((events) => {
        if (events.some((event) => "id" in event.data && event.data.id === id)) reload();
      }),
    ];
    return () => {
      for (const end of ends) end();
    };
  }, [id, reload]);
  return loaded;
}

export function Actions({ id }: { id: string }) {
  const subject = { path: "/v1/anomalies", id, noun: "anomaly" };
  const ask = (decision: (typeof decisions)[number]) => judge(subject, decision);
  const offered = mayChange() ? decisions : [];
  useCommands(
    offered.map((decision) => ({ keys: decision.key, label: decision.verb, run: () => ask(decision) })),
  );
  if (offered.length === 0) return null;
  return (
    <div class="actions" role="group" aria-label="Decide about this anomaly">
      {offered.map((decision) => (
        <button
          key={decision.state}
          type="button"
          title={`${decision.effect} (${decision.key})`}
          aria-pressed={undoable.value.get(id) === decision.state}
          onClick={() => ask(decision)}
        >
          {decision.verb}
        </button>
      ))}
    </div>
  );
}

/** What the page and the panel beside the list have in common. */
export function AnomalyBody({ anomaly, brief }: { anomaly: AnomalyDetail; brief: boolean }) {
  const { report } = anomaly;
  return (
    <div class={brief ? "cards brief" : "cards"}>
      {report && <RecordView report={report} />}
      {report && <Expected report={report} />}
      {report && <Score report={report} />}
      {report && <FieldCosts report={report} />}
      {!brief && report && <WindowMeasures report={report} />}
      {!brief && <Excerpts anomaly={anomaly} />}
      {!brief && <ScoreChart anomaly={anomaly} />}
      {report && <Members report={report} />}
      <History anomaly={anomaly} />
      {!brief && <Other anomaly={anomaly} />}
      {!brief && <Related id={anomaly.id} />}
      {!brief && <Settings anomaly={anomaly} />}
    </div>
  );
}

export function AnomalyPage({ id }: { id: string }) {
  const { data: anomaly, error, reload } = useAnomaly(id);
  useTitle(anomaly ? headlineOf(anomaly) : "Anomaly");
  useCommands([{ keys: "Escape", label: "Back", run: () => history.back() }]);
  if (anomaly === undefined) {
    return error ? <Failure error={error} retry={reload} stale={false} /> : <Skeleton />;
  }
  return (
    <article class={error ? "stale" : ""}>
      {error && <Failure error={error} retry={reload} stale />}
      <p class="crumbs">
        <a href={address("/anomalies")}>Anomalies</a>
      </p>
      <h1 class="sentence">{sentence(headlineOf(anomaly))}</h1>
      <Facts anomaly={anomaly} />
      <Actions id={id} />
      <div class="actions" role="group" aria-label="Evidence">
        <MakeEvidence subject={{ anomaly: id }} />
        <a class="button" href={address("/evidence", { about: id })}>
          Bundles about it
        </a>
      </div>
      <AnomalyBody anomaly={anomaly} brief={false} />
    </article>
  );
}
