import { type Driftlock, intakeOf } from "../driftlock.ts";
import type { LogRecordLike } from "../encoder/logs.ts";
import type { SpanLike } from "../encoder/spans.ts";
import type { Intake } from "../intake.ts";
import { sharedDriftlock } from "../shared.ts";

/** A span processor that lets Driftlock judge all ended spans, and changes none. */
export class DriftlockSpanProcessor {
  readonly #intake: Intake;

  /** @param driftlock the instance that judges; by default one that all parts of the SDK share */
  constructor(driftlock: Driftlock = sharedDriftlock()) {
    this.#intake = intakeOf(driftlock);
  }

  /** Does nothing. */
  onStart(): void {}

  /** Takes an ended span. */
  onEnd(span: SpanLike): void {
    this.#intake.add("traces", span.resource, span.instrumentationScope, () => span);
  }

  /** Resolves once all spans so far are judged. */
  forceFlush(): Promise<void> {
    return this.#intake.flush();
  }

  /** Resolves once all spans so far are judged. The instance stays open. */
  shutdown(): Promise<void> {
    return this.#intake.flush();
  }
}

/** A log record processor that lets Driftlock judge all log records, and changes none. */
export class DriftlockLogRecordProcessor {
  readonly #intake: Intake;

  /** @param driftlock the instance that judges; by default one that all parts of the SDK share */
  constructor(driftlock: Driftlock = sharedDriftlock()) {
    this.#intake = intakeOf(driftlock);
  }

  /** Takes a log record. */
  onEmit(record: LogRecordLike): void {
    this.#intake.add("logs", record.resource, record.instrumentationScope, () => record);
  }

  /** Resolves once all log records so far are judged. */
  forceFlush(): Promise<void> {
    return this.#intake.flush();
  }

  /** Resolves once all log records so far are judged. The instance stays open. */
  shutdown(): Promise<void> {
    return this.#intake.flush();
  }
}
