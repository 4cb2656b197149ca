/** The list of streams: their states, rates and anomalies. */
import { useState } from "preact/hooks";
import { usePages } from "../api/pages.ts";
import type { Stream } from "../api/types.ts";
import { chosen, Field, Menu } from "../parts/choices.tsx";
import { compact, duration, number, plural } from "../parts/format.ts";
import { StateLabel, Time } from "../parts/labels.tsx";
import { narrow } from "../parts/media.ts";
import { signals } from "../parts/names.ts";
import { Empty, Failure, Skeleton } from "../parts/states.tsx";
import { printable } from "../parts/text.ts";
import { VirtualList } from "../parts/virtual-list.tsx";
import { useCommands } from "../shell/keys.ts";
import { address, go } from "../shell/router.ts";
import { useTitle } from "../shell/title.ts";
import { dueIn, streamStates } from "./states.ts";

const columns = ["Status", "Stream", "Rate", "Usual", "Anomalies", "Withheld", "Latest"];

function Progress({ stream }: { stream: Stream }) {
  const due = dueIn(stream);
  const text = `${Math.round(stream.progress * 100)} %`;
  return (
    <span title={due === undefined ? undefined : `First verdicts in about ${duration(due)}`}>
      Learning, {text}
    </span>
  );
}

function Row({ stream }: { stream: Stream }) {
  const { state } = stream;
  const usual = stream.records_per_second;
  return (
    <>
      <span role="cell" class="c-status" title={streamStates[state].meaning}>
        {state === "learning" ? (
          <span class="state learning">
            <Progress stream={stream} />
          </span>
        ) : (
          <StateLabel state={state} name={streamStates[state].name} />
        )}
      </span>
      <span role="cell" class="c-what" title={stream.key}>
        <a href={address(`/streams/${encodeURIComponent(stream.id)}`)}>{printable(stream.key)}</a>
      </span>
      <span role="cell" class="c-rate">
        {number(stream.recent_records_per_second)}/s
      </span>
      <span role="cell" class="c-usual">
        {usual === null ? "–" : `${number(usual)}/s`}
      </span>
      <span role="cell" class="c-anomalies">
        {stream.anomalies === 0 ? "–" : compact(stream.anomalies)}
      </span>
      <span role="cell" class="c-withheld">
        {stream.withheld === 0 ? "–" : compact(stream.withheld)}
      </span>
      <span role="cell" class="c-latest">
        <Time at={stream.last_seen} relative />
      </span>
    </>
  );
}

export function StreamsPage() {
  useTitle("Streams");
  const query = chosen("state", "signal", "service");
  const pages = usePages<Stream>("/v1/streams", query, 15_000);
  const [cursor, setCursor] = useState(-1);
  const { rows } = pages;
  const error = pages.error.value;
  const selected = Math.min(cursor, rows.length - 1);
  const open = () => {
    const stream = rows[selected];
    if (stream !== undefined) go(address(`/streams/${encodeURIComponent(stream.id)}`));
  };
  useCommands([
    { keys: "j", label: "Next stream", run: () => setCursor(Math.min(rows.length - 1, selected + 1)) },
    { keys: "k", label: "Previous stream", run: () => setCursor(Math.max(0, selected - 1)) },
    { keys: "Enter", label: "Open", run: open },
    { keys: "o", label: "Open", run: open },
    { keys: "/", label: "Search", run: () => document.querySelector<HTMLElement>(".search")?.focus() },
  ]);
  const learning = rows.filter(({ state }) => state === "learning");
  const due = Math.max(0, ...learning.map((stream) => dueIn(stream) ?? 0));
  return (
    <div class="whole streams">
      <div class="column">
        <h1 class="hidden">Streams</h1>
        <div class="filters" role="search">
          <Field name="service" label="Service" />
          <Menu
            name="state"
            label="State"
            any="Any state"
            values={Object.fromEntries(
              Object.entries(streamStates).map(([state, { name }]) => [state, name]),
            )}
          />
          <Menu name="signal" label="Signal" any="Any signal" values={signals} />
        </div>
        {learning.length > 0 && (
          <p class="notice">
            {learning.length} of {plural(rows.length, "stream")} still learn
            {due > 0 && `; all first verdicts in about ${duration(due)}`}.
          </p>
        )}
        {error && <Failure error={error} retry={pages.reload} stale={rows.length > 0} />}
        {!pages.loaded && !error && <Skeleton lines={14} />}
        {pages.loaded && rows.length === 0 && (
          <Empty title={query.size > 0 ? "No stream matches all filters" : "No telemetry has arrived yet"}>
            <p>
              {query.size > 0 ? (
                <a href={address("/streams")}>Show all streams</a>
              ) : (
                "A stream appears some seconds after its first record."
              )}
            </p>
          </Empty>
        )}
        {rows.length > 0 && (
          <div class={`holder ${error ? "stale" : ""}`}>
            <VirtualList
              label="Streams, newest first"
              length={rows.length}
              rowHeight={narrow.value ? 60 : 34}
              selected={selected}
              keyAt={(i) => rows[i]!.id}
              row={(i) => <Row stream={rows[i]!} />}
              onEnd={pages.more}
              head={columns.map((name) => (
                <span key={name} role="columnheader" class={`c-${name.toLowerCase()}`}>
                  {name}
                </span>
              ))}
            />
          </div>
        )}
        {pages.loaded && rows.length > 0 && (
          <p class="status">
            {plural(rows.length, "stream")}
            {pages.hasMore && ", more as you scroll"}
          </p>
        )}
      </div>
    </div>
  );
}
