/** What the API returns, by the schemas that its answers are made from. */
import type { z } from "zod";
import type { countsSchema } from "../../../src/api/counts.ts";
import type { BundleJson } from "../../../src/api/evidence.ts";
import type { Readiness as ReadinessJson } from "../../../src/api/health.ts";
import type { keySchema, madeSchema } from "../../../src/api/keys.ts";
import type { NotableJson } from "../../../src/api/notable.ts";
import type { notificationsSchema } from "../../../src/api/notifications.ts";
import type { Problem as ProblemJson } from "../../../src/api/problem.ts";
import type { IncidentReportJson, IncidentReportsJson } from "../../../src/api/reports.ts";
import type { waysSchema } from "../../../src/api/session.ts";
import type { StreamDetailJson, StreamJson } from "../../../src/api/streams.ts";
import type { TenantPolicy } from "../../../src/config/schema/policy.ts";
import type { SilenceMatch } from "../../../src/config/schema/silence.ts";
import type {
  AnomalyJson,
  anomalyDetailSchema,
  CompactAnomalyJson,
} from "../../../src/json/anomaly-schema.ts";
import type { CandidateJson, IncidentDetailJson, IncidentJson } from "../../../src/json/incident-schema.ts";
import type {
  ConversationDetailJson,
  ConversationJson,
  LlmCallJson,
  LlmTurnJson,
} from "../../../src/json/llm.ts";
import type { ReportJson } from "../../../src/json/report.ts";

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

export type Conversation = ConversationJson;
export type ConversationDetail = ConversationDetailJson;
export type LlmCall = LlmCallJson;
export type LlmTurn = LlmTurnJson;

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

export type LoginWays = z.output<typeof waysSchema>;
export type Key = z.output<typeof keySchema>;
export type MadeKey = z.output<typeof madeSchema>;
export type Notifications = z.output<typeof notificationsSchema>;

export interface Usage {
  items: { day: string; requests: number; records: number; bytes: number }[];
}

export interface Version {
  version: string;
  node: string;
  codecs: Record<string, string>;
}

export type EvidenceBundle = BundleJson;
export type IncidentReports = IncidentReportsJson;
export type IncidentReport = IncidentReportJson;

export type Notable = NotableJson;
export type Counts = z.output<typeof countsSchema>;

export interface Related {
  same_trace: CompactAnomaly[];
  same_time: CompactAnomaly[];
}
