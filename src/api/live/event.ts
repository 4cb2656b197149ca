export type EventName = "anomaly" | "incident" | "judgement";

/** What events are about, as the API returns it. */
export interface LiveItem {
  id: string;
}

export interface LiveEvent<T extends LiveItem = LiveItem> {
  /** The event's id; see event-id.ts. */
  id: string;
  name: EventName;
  data: T;
}

/** Marks that events are missing before the next one. They can be found by listing what they are about. */
export interface Gap {
  name: "gap";
  data: { reason: string };
}

/** Events for a reader. Readers at the same position receive the same array. */
export type Batch<T extends LiveItem = LiveItem> = readonly (LiveEvent<T> | Gap)[];
