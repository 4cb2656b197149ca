import { truncateLine } from "../base/truncate.ts";
import { native } from "../native.ts";
import { Code, type PartialSuccess, type Signal } from "../otlp/protocol.ts";
import type { Drop } from "./drop.ts";

/** A request as several of at most `most` bytes, as far as its records allow; itself if it is no larger. */
export async function divide(signal: Signal, body: Buffer, most: number): Promise<Buffer[]> {
  if (body.length <= most) return [body];
  return (await native.split(signal, body, most)) ?? [body];
}

/** The log records, spans or data points of a request that can be read. */
export async function countRecords(signal: Signal, body: Buffer): Promise<number> {
  return (await native.countRecords(signal, body)) ?? 0;
}

/** What servers say of a message that is larger than they take; a quota that is spent is another matter. */
const tooLarge = /HTTP 413\b|larger than|exceeds (the )?max|too (large|big)/i;

export function isTooLarge({ reason, code, message }: Drop): boolean {
  return reason === "refused" && code === Code.RESOURCE_EXHAUSTED && tooLarge.test(message);
}

/** What the downstream says of two parts of a request. */
export function join(
  one: PartialSuccess | undefined,
  other: PartialSuccess | undefined,
): PartialSuccess | undefined {
  if (!one || !other) return one ?? other;
  const messages = new Set([one.message, other.message].filter(Boolean));
  return { rejected: one.rejected + other.rejected, message: truncateLine([...messages].join("; ")) };
}
