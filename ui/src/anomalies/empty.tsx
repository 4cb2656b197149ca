/** What is shown instead of an empty list, with the reason why it is empty. */
import { request } from "../api/client.ts";
import { useLoad } from "../api/load.ts";
import type { Page, Stream } from "../api/types.ts";
import { plural } from "../parts/format.ts";
import { Send } from "../parts/send.tsx";
import { Empty } from "../parts/states.tsx";
import { toggle } from "./filter-bar.tsx";
import { describe, type Filters } from "./filters.ts";

export function EmptyList({ filters }: { filters: Filters }) {
  const { data } = useLoad(
    "streams of the empty list",
    (signal) => request<Page<Stream>>("/v1/streams", { query: { limit: "1000" }, signal }),
    10_000,
  );
  const chosen = Object.entries(filters).flatMap(([name, values]) =>
    values.map((value) => ({ name, value })),
  );
  if (chosen.length > 0) {
    return (
      <Empty title="No anomaly matches all filters">
        <p>Remove one to see more:</p>
        <ul class="chips">
          {chosen.map(({ name, value }) => (
            <li key={`${name}=${value}`}>
              <button type="button" class="chip" onClick={() => toggle(name, value)}>
                {describe(name, value)} <span aria-hidden="true">×</span>
              </button>
            </li>
          ))}
        </ul>
      </Empty>
    );
  }
  if (data === undefined) return null;
  if (data.items.length === 0) {
    return (
      <Empty title="No telemetry has arrived yet">
        <Send />
      </Empty>
    );
  }
  const learning = data.items.filter(({ state }) => state === "learning");
  if (learning.length > 0) {
    const progress = Math.min(...learning.map((stream) => stream.progress));
    return (
      <Empty title={`${learning.length} of ${plural(data.items.length, "stream")} still learn`}>
        <p>
          A stream raises no alarm before it has learned what is normal. Nothing unusual was found in the
          others.
        </p>
        <label>
          The slowest has learned {Math.round(progress * 100)} %<progress value={progress} />
        </label>
      </Empty>
    );
  }
  return (
    <Empty title="No anomalies">
      <p>{plural(data.items.length, "stream")} were judged, and none had anything unusual.</p>
    </Empty>
  );
}
