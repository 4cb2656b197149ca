/** Forms the incidents of a recording, and prints each once: when it is over, or at the end of the file. */
import { defaultTenant } from "../../access/principal.ts";
import { channelName, severityName } from "../../anomaly/names.ts";
import type { Config } from "../../config/schema.ts";
import type { Engine } from "../../engine/index.ts";
import { type Incident, IncidentState } from "../../gen/driftlock/v1/incidents_pb.js";
import { IncidentFormer } from "../../incidents/former.ts";
import { formatNanos } from "../../json/time.ts";
import type { Input } from "../recording/input.ts";
import { judgeInOrder } from "../recording/judge.ts";

const states = {
  [IncidentState.OPEN]: "open",
  [IncidentState.ENDED]: "ended",
  [IncidentState.MERGED]: "merged",
} as const;

export interface IncidentLine {
  kind: "incident";
  id: string;
  state: (typeof states)[IncidentState];
  /** When it began, when its latest evidence was, and when it became an incident, in RFC 3339. */
  start: string;
  end: string;
  reported: string;
  severity: string;
  /** Whether it would notify nobody. */
  minor: boolean;
  /** The decimal logarithm of how rare it is. */
  score: number;
  sentence: string;
  services: string[];
  channels: string[];
  /** The likeliest causes first. */
  causes: {
    service: string;
    host: string;
    operation: string;
    seconds: number;
    failures: number;
    reasons: string[];
  }[];
  /** Why the order of the causes is uncertain; null if it is not. */
  undecided: string | null;
  merged_into: string | null;
}

/** Yields the lines of the incidents, with the number of records that were read for them. */
export async function* formIncidents(
  inputs: AsyncIterable<Input>,
  engine: Engine,
  config: Config,
): AsyncGenerator<{ lines: IncidentLine[]; records: number }, void> {
  const former = new IncidentFormer({
    perTenantPerDay: config.incidents.budget.per_tenant_per_day,
    seed: BigInt(config.detect.seed),
  });
  const open = new Map<string, Incident>();
  for await (const { outcome } of judgeInOrder(inputs, engine, defaultTenant)) {
    const lines: IncidentLine[] = [];
    for (const incident of outcome.evidence ? former.add(outcome.evidence) : []) {
      if (incident.state === IncidentState.OPEN) {
        open.set(incident.id, incident);
        continue;
      }
      open.delete(incident.id);
      lines.push(toLine(incident));
    }
    yield { lines, records: outcome.records };
  }
  yield { lines: [...open.values()].map(toLine), records: 0 };
}

function toLine(incident: Incident): IncidentLine {
  const { id, state, severity, minor, score, sentence, services, members, ranking } = incident;
  return {
    kind: "incident",
    id,
    state: states[state],
    start: formatNanos(incident.startTimeUnixNano),
    end: formatNanos(incident.endTimeUnixNano),
    reported: formatNanos(incident.reportedTimeUnixNano),
    severity: severityName(severity),
    minor,
    score,
    sentence,
    services,
    channels: [...new Set(members.map(({ channel }) => channelName(channel)))],
    causes: ranking.map(({ service, host, operation, seconds, failures, reasons }) => ({
      service,
      host,
      operation,
      seconds,
      failures,
      reasons,
    })),
    undecided: incident.undecided || null,
    merged_into: incident.mergedInto || null,
  };
}
