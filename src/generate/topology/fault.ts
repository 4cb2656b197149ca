/** What a fault is. */
import type { Signal } from "../../otlp/protocol.ts";
import type { Agenda } from "../agenda.ts";
import type { Random } from "../random.ts";
import type { Component, Topology } from "./model.ts";
import type { Simulation } from "./simulation.ts";

export const faultNames = [
  "slow-database",
  "failing-dependency",
  "bad-deploy",
  "pool-exhaustion",
  "cache-miss-storm",
  "bad-replica",
  "retry-storm",
  "message-backlog",
  "noisy-neighbour",
  "metric-level",
  "log-silence",
] as const;
export type FaultName = (typeof faultNames)[number];

/** Where a fault comes from. */
export interface Cause {
  /** The value of `service.name`, or of `server.address` if the component sends no spans. */
  service: string;
  /** The value of `service.instance.id`. */
  instance?: string;
  /** The name of the spans of the operation. */
  operation?: string;
  /** The value of `host.name`. */
  host?: string;
  /** The services that read through a cache: it sends no spans, so that what it lacks shows in their calls. */
  readers?: string[];
  /** The name of the metric. */
  metric?: string;
}

export interface Fault {
  /** Unique within one run. */
  id: string;
  kind: FaultName;
  cause: Cause;
  /** The services in whose telemetry it shows, the cause first. */
  services: string[];
  /** Milliseconds of stream time since the start; the end is exclusive. */
  start: number;
  end: number;
}

export interface FaultSchedule {
  kind: FaultName;
  start: number;
  end: number;
  /** How strong it is in relation to what is usual for its kind. */
  size: number;
}

/** A fault that has been chosen for a topology. */
export interface Plan {
  cause: Cause;
  services: readonly Component[];
  begin(): void;
  end(): void;
}

export interface FaultContext {
  topology: Topology;
  simulation: Simulation;
  agenda: Agenda;
  random: Random;
  size: number;
  /** The reason to which its effects are attributed. */
  reason: object;
}

export interface FaultKind {
  /** Whether it shows in the spans of services, or in one stream alone. */
  spread: "spans" | "stream";
  /** The signals in which it shows. */
  signals: readonly Signal[];
  summary: string;
  plan(context: FaultContext): Plan;
}
