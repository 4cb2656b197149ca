/** Where, when, how grave and in which state an anomaly is. */
import type { Anomaly, State } from "../api/types.ts";
import { duration, plural } from "../parts/format.ts";
import { undoable } from "../parts/judge.tsx";
import { SeverityMark, StateLabel, Time } from "../parts/labels.tsx";
import { states } from "../parts/names.ts";
import { printable } from "../parts/text.ts";
import { address } from "../shell/router.ts";

export function AnomalyState({ anomaly }: { anomaly: Pick<Anomaly, "id" | "state"> }) {
  const coming = undoable.value.get(anomaly.id) as State | undefined;
  const state = coming ?? anomaly.state;
  return <StateLabel state={state} name={states[state]} pending={coming !== undefined} />;
}

export function Facts({ anomaly }: { anomaly: Anomaly }) {
  const { start_time: start, end_time: end, occurrences, stream, stream_id, service, report } = anomaly;
  const lasted = Date.parse(end) - Date.parse(start);
  return (
    <ul class="facts">
      <li>
        <SeverityMark severity={anomaly.severity} named />
      </li>
      <li>
        <AnomalyState anomaly={anomaly} />
      </li>
      <li>
        <Time at={start} /> (<Time at={start} relative />){lasted >= 1 && `, for ${duration(lasted)}`}
      </li>
      <li>{plural(occurrences, "flagged verdict")}</li>
      {service !== "" && (
        <li>
          Service <a href={address("/anomalies", { service })}>{printable(service)}</a>
        </li>
      )}
      <li>
        Stream <a href={address(`/streams/${encodeURIComponent(stream_id)}`)}>{printable(stream)}</a>
      </li>
      {anomaly.incident && (
        <li>
          Part of <a href={address(`/incidents/${encodeURIComponent(anomaly.incident)}`)}>an incident</a>
        </li>
      )}
      {report?.instance && <li>Instance {printable(report.instance.replace(/^.*?=/, ""))}</li>}
      {report?.silenced_by && <li>Silenced: nobody was notified</li>}
    </ul>
  );
}
