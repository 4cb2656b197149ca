/** What the API returns, by the schemas that its answers are made from. */
import type { z } from "zod";
import type {
  AnomalyJson,
  anomalyDetailSchema,
  CompactAnomalyJson,
  ReportJson,
} from "../../../src/api/anomaly.ts";
import type { countsSchema } from "../../../src/api/counts.ts";
import type { Readiness as ReadinessJson } from "../../../src/api/health.ts";
import type { CandidateJson, IncidentDetailJson, IncidentJson } from "../../../src/api/incident.ts";
import type { NotableJson } from "../../../src/api/notable.ts";
import type { Problem as ProblemJson } from "../../../src/api/problem.ts";
import type { StreamDetailJson, StreamJson } from "../../../src/api/streams.ts";
import type { TenantPolicy } from "../../../src/config/schema/policy.ts";
import type { SilenceMatch } from "../../../src/config/schema/silence.ts";

export type Anomaly = AnomalyJson;
export type CompactAnomaly = CompactAnomalyJson;
export type AnomalyDetail = z.output<typeof anomalyDetailSchema>;
export type Report = ReportJson;
export type Problem = ProblemJson;
export type Incident = IncidentJson;
export type IncidentDetail = IncidentDetailJson;
export type Candidate = CandidateJson;
export type Severity = Anomaly["severity"];
export type State = Anomaly["state"];
export type Signal = Anomaly["signal"];
export type Channel = Report["channel"];

export interface Page<T> {
  items: T[];
  next?: string;
}

export type Stream = StreamJson;
export type StreamDetail = StreamDetailJson;

export type Policy = TenantPolicy;
export type Readiness = ReadinessJson;

export interface Policies {
  policies: Policy[];
  author: string | null;
  changed_at: string | null;
}

export interface Silence {
  id: string;
  match: SilenceMatch;
  starts_at: string;
  ends_at: string;
  reason: string;
  author: string;
  created_at: string;
  state: "pending" | "active" | "ended";
}

export interface AuditEntry {
  seq: number;
  time: string;
  actor: string;
  action: string;
  target: string;
  detail: Record<string, unknown>;
  hash: string;
}

export interface Session {
  tenant: string;
  subject: string;
  scopes: string[];
  expires_at: string | null;
}

export interface Usage {
  items: { day: string; requests: number; records: number; bytes: number }[];
}

export interface Version {
  version: string;
  node: string;
  codecs: Record<string, string>;
}

export type Notable = NotableJson;
export type Counts = z.output<typeof countsSchema>;

export interface Related {
  same_trace: CompactAnomaly[];
  same_time: CompactAnomaly[];
}
