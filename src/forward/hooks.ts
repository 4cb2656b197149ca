import type { BaseLogger } from "pino";
import type { Code, Signal } from "../otlp/protocol.ts";

/** Why a request was rejected or not delivered. Its sender received an error and still has the data. */
export const dropReasons = [
  /** `queue.max_size` or `queue.disk.max_size` is reached. */
  "queue_full",
  /** The device that holds the queue is full. */
  "disk_full",
  /** Another failure of the device that holds the queue. */
  "disk_error",
  /** The request alone is larger than `queue.max_size`. */
  "too_large",
  /** The downstream rejected the request permanently. */
  "refused",
  /** The downstream did not accept the request within `retry.max_elapsed_time`, or at once if retries are disabled. */
  "unavailable",
  /** The sender went away. */
  "cancelled",
  /** The forwarder was closed. */
  "shutdown",
] as const;
export type DropReason = (typeof dropReasons)[number];

/** What a forwarder reports to its observer. Sizes are bytes of the request before compression. */
export interface ForwardHooks {
  log: BaseLogger;
  /** An attempt ended, `seconds` after its start. A request may need several. */
  onAttempt(attempt: { signal: Signal; code: Code; seconds: number; bytes: number }): void;
  /**
   * The downstream accepted a request except for `rejected` records, `seconds` after the request arrived or left the disk.
   */
  onDelivered(delivery: { signal: Signal; seconds: number; bytes: number; rejected: number }): void;
  /** A request is sent that is larger than `max_request_size`, since it cannot be divided. */
  onOversize(request: { signal: Signal; bytes: number }): void;
  /** The downstream refused a part of a request, with so many records, and took another part. */
  onRefusedPart(part: { signal: Signal; records: number }): void;
  /** A request was not taken or not delivered. */
  onDrop(drop: { signal: Signal; reason: DropReason; code: Code; bytes: number }): void;
}

/** What a forwarder with a queue on disk reports in addition. */
export interface DurableHooks extends ForwardHooks {
  /** The downstream refused a request that was on disk. It is `kept` in the dead letters, or lost if those are full. */
  onDeadLetter(letter: { signal: Signal; code: Code; bytes: number; kept: boolean }): void;
  /** Bytes of the queue on disk held no whole request. */
  onDamage(damage: { bytes: number }): void;
}
