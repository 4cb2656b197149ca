/**
 * The anomalies of a list. Pages are added at its end and live anomalies at its beginning, each at a cost that does not depend on
 * how many there are.
 */
import { signal } from "@preact/signals";
import { request } from "../api/client.ts";
import type { LiveEvent } from "../api/live.ts";
import type { Anomaly, CompactAnomaly, Page } from "../api/types.ts";
import { rank } from "../parts/names.ts";
import { type Filters, matches, toQuery } from "./filters.ts";

const pageSize = "200";
/** New anomalies that may wait; beyond that the list is loaded anew. */
const maxWaiting = 1_000;

/** Adds a live report to what is known about an anomaly. Live anomalies have the latest report, lists the gravest. */
function grown(known: CompactAnomaly, live: Anomaly): CompactAnomaly {
  const graver = (live.report?.margin ?? 0) > (known.report?.margin ?? 0);
  return {
    ...live,
    incident: known.incident,
    start_time: [known.start_time, live.start_time].sort()[0]!,
    channels: [...new Set([...known.channels, ...live.channels])],
    severity: rank[live.severity] > rank[known.severity] ? live.severity : known.severity,
    report: graver ? live.report : known.report,
  };
}

export class AnomalyList {
  readonly filters: Filters;
  /** Increases with every change. */
  readonly version = signal(0);
  readonly error = signal<Error | undefined>(undefined);
  /** The new anomalies that are not shown yet, latest last. */
  #waiting = new Map<string, CompactAnomaly>();
  /** Live anomalies that are shown, latest last. */
  #newer: CompactAnomaly[] = [];
  /** Anomalies of pages, latest first. */
  #older: CompactAnomaly[] = [];
  #places = new Map<string, { rows: CompactAnomaly[]; at: number }>();
  #next: string | undefined;
  #loading: AbortController | undefined;
  /** Whether the first page has arrived. */
  loaded = false;
  /** Whether new anomalies are shown as soon as they arrive. */
  following = true;

  constructor(filters: Filters) {
    this.filters = filters;
  }

  get length(): number {
    return this.#newer.length + this.#older.length;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Whether there are more pages. */
  get hasMore(): boolean {
    return this.#next !== undefined;
  }

  at(index: number): CompactAnomaly | undefined {
    const { length } = this.#newer;
    return index < length ? this.#newer[length - 1 - index] : this.#older[index - length];
  }

  /** Returns the row of an anomaly; -1 if it is not in the list. */
  indexOf(id: string): number {
    const place = this.#places.get(id);
    if (place === undefined) return -1;
    return place.rows === this.#newer ? this.#newer.length - 1 - place.at : this.#newer.length + place.at;
  }

  #changed(): void {
    this.version.value += 1;
  }

  #put(rows: CompactAnomaly[], anomaly: CompactAnomaly): void {
    this.#places.set(anomaly.id, { rows, at: rows.push(anomaly) - 1 });
  }

  async #load(after: string | undefined): Promise<void> {
    if (this.#loading !== undefined && after !== undefined) return;
    this.#loading?.abort();
    const abort = new AbortController();
    this.#loading = abort;
    try {
      const query = toQuery(this.filters);
      query.set("limit", pageSize);
      query.set("view", "compact");
      if (after !== undefined) query.set("after", after);
      const page = await request<Page<CompactAnomaly>>("/v1/anomalies", { query, signal: abort.signal });
      if (after === undefined) {
        this.#newer = [];
        this.#older = [];
        this.#places.clear();
        this.#waiting.clear();
        this.loaded = true;
      }
      for (const anomaly of page.items) {
        if (!this.#places.has(anomaly.id)) this.#put(this.#older, anomaly);
      }
      this.#next = page.next;
      this.error.value = undefined;
    } catch (error) {
      if (abort.signal.aborted) return;
      this.error.value = error as Error;
    } finally {
      if (this.#loading === abort) this.#loading = undefined;
    }
    this.#changed();
  }

  /** Loads the list from its beginning. What it has is kept until the answer arrives. */
  reload = (): void => {
    void this.#load(undefined);
  };

  /** Loads the next page, if there is one. */
  more = (): void => {
    if (this.#next !== undefined && this.error.value === undefined) void this.#load(this.#next);
  };

  end(): void {
    this.#loading?.abort();
  }

  /** Adds what has happened. */
  take(events: readonly LiveEvent<Anomaly>[]): void {
    for (const event of events) {
      if (event.name === "gap") this.reload();
      if (event.name === "gap" || event.name === "dropped") continue;
      const { data } = event;
      const place = this.#places.get(data.id);
      const held = this.#waiting.get(data.id);
      if (place !== undefined) {
        const known = place.rows[place.at]!;
        place.rows[place.at] = event.name === "judgement" ? data : grown(known, data);
      } else if (held !== undefined) {
        this.#waiting.set(data.id, grown(held, data));
      } else if (matches(this.filters, data)) {
        this.#waiting.set(data.id, data);
      }
    }
    if (this.#waiting.size > maxWaiting) this.reload();
    if (this.following) this.show();
    else this.#changed();
  }

  /** Shows the new anomalies. */
  show(): void {
    for (const anomaly of this.#waiting.values()) this.#put(this.#newer, anomaly);
    this.#waiting.clear();
    this.#changed();
  }
}
