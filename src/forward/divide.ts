import { truncateLine } from "../base/truncate.ts";
import { native } from "../native.ts";
import { Code, type PartialSuccess, type Signal } from "../otlp/protocol.ts";
import type { Drop } from "./drop.ts";

/** Divides a request into several of at most `most` bytes, as far as its records allow. A smaller one is returned as it is. */
export async function divide(signal: Signal, body: Buffer, most: number): Promise<Buffer[]> {
  if (body.length <= most) return [body];
  return (await native.split(signal, body, most)) ?? [body];
}

/** The log records, spans or data points of a request that can be read. */
export async function countRecords(signal: Signal, body: Buffer): Promise<number> {
  return (await native.countRecords(signal, body)) ?? 0;
}

/** Matches what servers report about a message that is larger than they accept. An exhausted quota is a different error. */
const tooLarge = /HTTP 413\b|larger than|exceeds (the )?max|too (large|big)/i;

export function isTooLarge({ reason, code, message }: Drop): boolean {
  return reason === "refused" && code === Code.RESOURCE_EXHAUSTED && tooLarge.test(message);
}

/** Combines what the downstream reports about two parts of a request. */
export function join(
  one: PartialSuccess | undefined,
  other: PartialSuccess | undefined,
): PartialSuccess | undefined {
  if (!one || !other) return one ?? other;
  const messages = new Set([one.message, other.message].filter(Boolean));
  return { rejected: one.rejected + other.rejected, message: truncateLine([...messages].join("; ")) };
}
