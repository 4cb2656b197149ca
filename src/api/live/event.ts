import type { AnomalyJson } from "../anomaly.ts";

export type EventName = "anomaly" | "judgement";

export interface LiveEvent {
  /** See event-id.ts. */
  id: string;
  name: EventName;
  data: AnomalyJson;
}

/** Events are missing before what comes next: list the anomalies to see them. */
export interface Gap {
  name: "gap";
  data: { reason: string };
}

/** Readers at the same place are given the same array. */
export type Batch = readonly (LiveEvent | Gap)[];
