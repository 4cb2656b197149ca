/** Detection inside a Node.js service. What is heavy is loaded with the first record. */
import "../base/require-node.ts";

export { type ErrorCode, errorCodes } from "../base/error-codes.ts";
export { Driftlock } from "./driftlock.ts";
export type { AnomalyEvent } from "./event.ts";
export type { DriftlockOptions, DriftlockStats, DropReason } from "./options.ts";
export type { LogInput, SpanInput, Time } from "./records.ts";
