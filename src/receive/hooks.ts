import type { Logger } from "pino";
import type { Code, Signal } from "../otlp/protocol.ts";

export type Transport = "grpc" | "http";

/** Why a request was aborted while its body arrived: it arrived too slowly, or it made room for another. */
export const cutReasons = ["slow", "stalled"] as const;
export type CutReason = (typeof cutReasons)[number];

/**
 * Why a connection was closed: it was idle for too long, old enough, idle while a newcomer found no room, its peer did not
 * take an answer, has too many requests unanswered, or speaks another protocol.
 */
export const closeReasons = ["idle", "age", "displaced", "unread", "pipelined", "protocol"] as const;
export type CloseReason = (typeof closeReasons)[number];

/** One Export request that was answered, whatever the answer. */
export interface RequestEvent {
  signal: Signal;
  /** Messages of topics come by Kafka. */
  transport: Transport | "kafka";
  code: Code;
  /** The size of the body as it was sent; 0 if the request was refused before its body had arrived. */
  wireBytes: number;
  /** The size of the body as the consumer received it: decompressed protobuf. */
  bytes: number;
  /** From the request's headers to the consumer's answer. */
  seconds: number;
}

/** What the receivers report to the rest of the process, on the event loop. Implementations are brief and never throw. */
export interface ReceiveHooks {
  log: Logger;
  onRequest(event: RequestEvent): void;
  /** A request was aborted while its body arrived. */
  onRequestCut(reason: CutReason): void;
  /** A connection for which there is no room within `limits.max_connections` was closed unread. */
  onConnectionRefused(transport: Transport): void;
  onConnectionClosed(transport: Transport, reason: CloseReason): void;
}
