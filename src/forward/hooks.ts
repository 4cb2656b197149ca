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

/** What a forwarder tells whoever watches it. Sizes are bytes of the request before compression. */
export interface ForwardHooks {
  log: BaseLogger;
  /** An attempt ended; a request may take several. `seconds` from its start to its answer. */
  onAttempt(attempt: { signal: Signal; code: Code; seconds: number; bytes: number }): void;
  /**
   * The downstream took a request, but for `rejected` records. `seconds` since it came, or left the disk, waiting included.
   */
  onDelivered(delivery: { signal: Signal; seconds: number; bytes: number; rejected: number }): void;
  /** A request is sent that is larger than `max_request_size`, since it cannot be divided. */
  onOversize(request: { signal: Signal; bytes: number }): void;
  /** The downstream refused a part of a request, with so many records, and took another part. */
  onRefusedPart(part: { signal: Signal; records: number }): void;
  /** A request was not taken or not delivered. */
  onDrop(drop: { signal: Signal; reason: DropReason; code: Code; bytes: number }): void;
}

/** What a forwarder with a queue on disk tells as well. */
export interface DurableHooks extends ForwardHooks {
  /** The downstream refused a request that was on disk; `kept` in the dead letters, or lost where those are full. */
  onDeadLetter(letter: { signal: Signal; code: Code; bytes: number; kept: boolean }): void;
  /** Bytes of the queue on disk held no whole request. */
  onDamage(damage: { bytes: number }): void;
}
