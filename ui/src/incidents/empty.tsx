/** Why there is no incident. */
import { request } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import type { Page, Stream } from "../api/types.ts";
import { duration, plural } from "../parts/format.ts";
import { Send } from "../parts/send.tsx";
import { Empty } from "../parts/states.tsx";
import { address } from "../shell/router.ts";
import { dueIn } from "../streams/states.ts";

export function NoIncidents({ filtered }: { filtered: boolean }) {
  const { data } = useLoad(
    "streams of the empty list",
    (signal) => request<Page<Stream>>("/v1/streams", { query: { limit: "1000" }, signal }),
    10_000,
  );
  if (filtered) {
    return (
      <Empty title="No incident matches all filters">
        <p>
          <a href={address("/")}>Show all incidents</a>
        </p>
      </Empty>
    );
  }
  if (data === undefined) return null;
  const { items } = data;
  if (items.length === 0) {
    return (
      <Empty title="No telemetry has arrived yet">
        <Send />
      </Empty>
    );
  }
  const learning = items.filter(({ state }) => state === "learning");
  const due = Math.max(0, ...learning.map((stream) => dueIn(stream) ?? 0));
  return (
    <Empty title="No incidents">
      <p>
        {learning.length > 0
          ? `${learning.length} of ${plural(items.length, "stream")} still learn${due > 0 ? `; all first verdicts in about ${duration(due)}` : ""}.`
          : `${plural(items.length, "stream")} are judged.`}{" "}
        An incident is evidence of several streams that belongs together; what a single stream shows is among
        the <a href={address("/anomalies")}>anomalies</a>.
      </p>
    </Empty>
  );
}
