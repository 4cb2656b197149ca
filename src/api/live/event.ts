import type { AnomalyJson } from "../anomaly.ts";

export type EventName = "anomaly" | "judgement";

export interface LiveEvent {
  /** The event's id; see event-id.ts. */
  id: string;
  name: EventName;
  data: AnomalyJson;
}

/** Marks that events are missing before the next one. They can be found by listing the anomalies. */
export interface Gap {
  name: "gap";
  data: { reason: string };
}

/** Events for a reader. Readers at the same position receive the same array. */
export type Batch = readonly (LiveEvent | Gap)[];
