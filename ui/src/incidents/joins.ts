import type { IncidentDetail } from "../api/types.ts";

/** Why evidence belongs to an incident. */
export const joins: Readonly<Record<IncidentDetail["evidence"][number]["join"], string>> = {
  first: "it began",
  trace: "same trace",
  resource: "same resource",
  service: "same service",
  neighbour: "neighbour of",
  change: "same change",
  host: "same host",
};
