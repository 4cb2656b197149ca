/** The list of anomalies with its filters, and a panel for the selected one. */
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { anomalyFeed } from "../api/live.ts";
import type { CompactAnomaly } from "../api/types.ts";
import { compact, plural } from "../parts/format.ts";
import { onJudged } from "../parts/judge.tsx";
import { SeverityMark, Time } from "../parts/labels.tsx";
import { narrow } from "../parts/media.ts";
import { Failure, Skeleton } from "../parts/states.tsx";
import { VirtualList } from "../parts/virtual-list.tsx";
import { useCommands } from "../shell/keys.ts";
import { address, go, here, setQuery } from "../shell/router.ts";
import { useTitle } from "../shell/title.ts";
import { EmptyList } from "./empty.tsx";
import { headlineOf } from "./explanation.ts";
import { AnomalyState } from "./facts.tsx";
import { FilterBar } from "./filter-bar.tsx";
import { filtersOf } from "./filters.ts";
import { AnomalyList } from "./model.ts";
import { Peek } from "./peek.tsx";

const columns = ["Severity", "Start", "Service", "What", "Flagged", "State"];

function Row({ anomaly }: { anomaly: CompactAnomaly }) {
  const text = headlineOf(anomaly);
  return (
    <>
      <span role="cell" class="c-severity">
        <SeverityMark severity={anomaly.severity} />
      </span>
      <span role="cell" class="c-time">
        <Time at={anomaly.start_time} />
      </span>
      <span role="cell" class="c-service" title={anomaly.stream}>
        {anomaly.service || anomaly.stream}
      </span>
      <span role="cell" class="c-what" title={text}>
        <a href={address(`/anomalies/${encodeURIComponent(anomaly.id)}`)}>{text}</a>
      </span>
      <span role="cell" class="c-count">
        {compact(anomaly.occurrences)}×
      </span>
      <span role="cell" class="c-state">
        <AnomalyState anomaly={anomaly} />
      </span>
    </>
  );
}

/** Keeps the list of the filters, and what happens meanwhile. */
function useList(key: string): AnomalyList {
  const list = useMemo(() => new AnomalyList(filtersOf(here.value.query)), [key]);
  useEffect(() => {
    list.reload();
    const ends = [anomalyFeed.listen((events) => list.take(events)), onJudged(list.reload)];
    return () => {
      for (const end of ends) end();
      list.end();
    };
  }, [list]);
  return list;
}

export function AnomaliesPage() {
  useTitle("Anomalies");
  const { query } = here.value;
  const filters = filtersOf(query);
  const list = useList(JSON.stringify(filters));
  // Reading it renders the page again with each change of the list.
  void list.version.value;
  const peek = query.get("peek") || null;
  const [cursor, setCursor] = useState(-1);
  const [away, setAway] = useState(false);
  const hovered = useRef(false);
  const follow = () => {
    list.following = !(away || hovered.current || peek !== null);
  };
  follow();
  const peeked = peek === null ? -1 : list.indexOf(peek);
  const selected = peeked === -1 ? Math.min(cursor, list.length - 1) : peeked;
  const show = (id: string | undefined) => setQuery({ peek: id });
  const move = (by: number) => {
    if (list.length === 0) return;
    const next = Math.max(0, Math.min(list.length - 1, selected + by));
    setCursor(next);
    if (peek !== null) show(list.at(next)!.id);
  };
  const current = () => list.at(selected)?.id;
  useCommands([
    { keys: "j", label: "Next anomaly", run: () => move(1) },
    { keys: "k", label: "Previous anomaly", run: () => move(-1) },
    { keys: "Enter", label: "Show beside the list", run: () => show(current()) },
    {
      keys: "o",
      label: "Open",
      run() {
        const id = current();
        if (id !== undefined) go(address(`/anomalies/${encodeURIComponent(id)}`));
      },
    },
    {
      keys: "Escape",
      label: "Close",
      run() {
        setCursor(selected);
        show(undefined);
      },
    },
  ]);
  const onAway = useCallback((now: boolean) => setAway(now), []);
  const error = list.error.value;
  const pick = (event: MouseEvent) => {
    const row = (event.target as Element).closest<HTMLElement>("[data-index]");
    if (row === null || event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    const index = Number(row.dataset.index);
    setCursor(index);
    show(list.at(index)?.id);
  };
  return (
    <div class={`whole anomalies ${peek === null ? "" : "peeking"}`}>
      <div class="column">
        <h1 class="hidden">Anomalies</h1>
        <FilterBar filters={filters} />
        {error && <Failure error={error} retry={list.reload} stale={list.length > 0} />}
        {!list.loaded && !error && <Skeleton lines={14} />}
        {list.loaded && list.length === 0 && <EmptyList filters={filters} />}
        {list.length > 0 && (
          // biome-ignore lint/a11y/noStaticElementInteractions: the rows' links and the keys do the same
          // biome-ignore lint/a11y/useKeyWithClickEvents: the rows' links and the keys do the same
          <div
            class={`holder ${error ? "stale" : ""}`}
            onClick={pick}
            onMouseEnter={() => {
              hovered.current = true;
              follow();
            }}
            onMouseLeave={() => {
              hovered.current = false;
              follow();
            }}
          >
            <VirtualList
              label="Anomalies, latest first"
              length={list.length}
              rowHeight={narrow.value ? 60 : 34}
              selected={selected}
              keyAt={(i) => list.at(i)!.id}
              row={(i) => <Row anomaly={list.at(i)!} />}
              onEnd={list.more}
              onAway={onAway}
              head={columns.map((name) => (
                <span key={name} role="columnheader" class={`c-${name.toLowerCase()}`}>
                  <span class={name === "Severity" ? "hidden" : ""}>{name}</span>
                </span>
              ))}
            />
          </div>
        )}
        {list.waiting > 0 && (
          <button
            type="button"
            class="new"
            onClick={() => {
              list.show();
              document.querySelector(".list")?.scrollTo({ top: 0 });
            }}
          >
            {plural(list.waiting, "new", "new")}
          </button>
        )}
        {list.loaded && list.length > 0 && (
          <p class="status">
            {plural(list.length, "anomaly", "anomalies")}
            {list.hasMore && ", more as you scroll"}
          </p>
        )}
      </div>
      {peek !== null && <Peek key={peek} id={peek} onClose={() => show(undefined)} />}
    </div>
  );
}
