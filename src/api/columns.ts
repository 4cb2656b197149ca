/** The columns of anomalies and incidents as CSV. */
import type { AnomalyJson } from "../json/anomaly-schema.ts";
import type { IncidentJson } from "../json/incident-schema.ts";
import type { Columns } from "./representation.ts";

export const anomalyColumns: Columns<AnomalyJson> = {
  id: ({ id }) => id,
  state: ({ state }) => state,
  severity: ({ severity }) => severity,
  signal: ({ signal }) => signal,
  stream: ({ stream }) => stream,
  service: ({ service }) => service,
  channels: ({ channels }) => channels.join(" "),
  start_time: (item) => item.start_time,
  end_time: (item) => item.end_time,
  occurrences: ({ occurrences }) => occurrences,
  score: ({ report }) => report?.score ?? null,
  limit: ({ report }) => report?.limit ?? null,
  p_value: ({ report }) => report?.p_value ?? null,
  surprise_bits: ({ report }) => report?.surprise_bits ?? null,
  field: ({ report }) => report?.field ?? null,
  value: ({ report }) => report?.value ?? null,
  unit: ({ report }) => report?.unit ?? null,
  explanation: ({ report }) => report?.explanation ?? null,
  record: ({ report }) => report?.record?.text ?? null,
  withheld: ({ report }) => report?.withheld?.count ?? null,
  incident: ({ incident }) => incident,
};

export const incidentColumns: Columns<IncidentJson> = {
  id: ({ id }) => id,
  state: ({ state }) => state,
  severity: ({ severity }) => severity,
  minor: ({ minor }) => (minor ? "true" : "false"),
  start_time: (item) => item.start_time,
  end_time: (item) => item.end_time,
  reported_time: (item) => item.reported_time,
  sentence: ({ sentence }) => sentence,
  services: ({ services }) => services.join(" "),
  cause: ({ cause }) => cause?.service ?? null,
  members: ({ members }) => members,
  score: ({ score }) => score,
  p_value: (item) => item.p_value,
  fingerprint: ({ fingerprint }) => fingerprint,
  merged_into: (item) => item.merged_into,
};
