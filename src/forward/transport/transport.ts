import type { Code, PartialSuccess, Signal } from "../../otlp/protocol.ts";

/** How an attempt to send ended. */
export interface Outcome {
  code: Code;
  /** The error of the downstream or the network for people, and what to do about it. Empty on OK. */
  message: string;
  /** The time that the downstream asks to wait before the next attempt. */
  retryAfterMs?: number | undefined;
  partialSuccess?: PartialSuccess | undefined;
  /** The downstream reports that it has not looked at the request. This is not a failure, and the request may be sent again at once. */
  unprocessed?: boolean;
  /** Nothing reads the body any more, so that its memory may be given back. Otherwise it may still be on its way to a socket. */
  bodyRead?: boolean;
}

/** Sends requests to one endpoint. */
export interface Transport {
  /**
   * One attempt. `body` is an Export*ServiceRequest, left as it is. What the network does is an outcome, the attempt's
   * timeout DEADLINE_EXCEEDED and `abort` CANCELLED; rejects on faults of this process alone.
   */
  send(signal: Signal, body: Buffer, timeoutMs: number, abort: AbortSignal): Promise<Outcome>;
  /** Closes the connections. The caller aborts the attempts in progress first. */
  close(): void;
}

/**
 * What is read of an answer, after decompression. It holds a partial success or an error: more is a mistake or an attack. The
 * status of a larger answer stands.
 */
export const maxResponseSize = 4 * 2 ** 20;

/** Why a success does not count: the downstream cannot have the whole request. */
export const unreadRequest = "the downstream answered with success before the request had been sent whole";
