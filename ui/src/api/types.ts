/** What the API returns, by the schemas that its answers are made from. */
import type { z } from "zod";
import type { AnomalyJson, anomalyDetailSchema, ReportJson } from "../../../src/api/anomaly.ts";
import type { Problem as ProblemJson } from "../../../src/api/problem.ts";
import type { StreamDetailJson, StreamJson } from "../../../src/api/streams.ts";

export type Anomaly = AnomalyJson;
export type AnomalyDetail = z.output<typeof anomalyDetailSchema>;
export type Report = ReportJson;
export type Problem = ProblemJson;
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
