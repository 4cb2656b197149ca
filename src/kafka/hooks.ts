/** What roles report about their work, for metrics. The functions return quickly and never throw. */
import type { Report } from "../anomaly/report.ts";
import type { Judged } from "../engine/index.ts";
import type { Signal } from "../otlp/protocol.ts";
import type { TopicKind } from "./topics.ts";

/** The work on the partitions of a topic, whose records are read. */
export interface TopicHooks {
  /** Called once records are done with: judged, delivered, received or stored. */
  onConsumed(records: number): void;
  /** Called for records that were left out because nothing can be done with them. */
  onSkipped(records: number): void;
  /** Called once records are in a topic. */
  onProduced(topic: TopicKind, records: number): void;
  /** Called when the work on a partition has ended with an error, and is begun again. */
  onFailure(): void;
}

/** The work of workers. */
export interface WorkerHooks extends TopicHooks {
  onTakeOver(seconds: number): void;
  /** Called once records that others had reported are judged again. */
  onReplayed(records: number): void;
  /** Called when another process has the partition. */
  onFenced(): void;
  /** Called for each request that is judged and reported, with the time that the engine took. */
  onJudged(signal: Signal, outcome: Judged, seconds: number): void;
  onReport(report: Report): void;
}

const ignore = () => {};

/** For work that nobody watches. */
export const unwatched: WorkerHooks = {
  onConsumed: ignore,
  onSkipped: ignore,
  onProduced: ignore,
  onFailure: ignore,
  onTakeOver: ignore,
  onReplayed: ignore,
  onFenced: ignore,
  onJudged: ignore,
  onReport: ignore,
};
