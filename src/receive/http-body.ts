import type { IncomingMessage } from "node:http";
import type { Permit } from "./admission.ts";
import { GrowingBuffer } from "./growing-buffer.ts";
import { TooLarge } from "./too-large.ts";

/**
 * Reads a body of at most `maxSize` bytes, whatever the size of its pieces. What has arrived is held, not what is announced.
 * @throws {TooLarge} when it is larger; {BodyCut} when it hardly comes; the reason of `abort`; what `Permit.hold` throws.
 */
export async function readBody(
  request: IncomingMessage,
  maxSize: number,
  permit: Permit,
  abort: AbortSignal,
): Promise<Buffer> {
  const length = announcedLength(request, maxSize);
  const body = new GrowingBuffer(permit, { most: length ?? maxSize, announced: length !== undefined });
  await forEachChunk(request, permit, abort, (chunk) => {
    check(body.length + chunk.length, maxSize);
    permit.progress(chunk.length);
    body.push(chunk);
  });
  return body.finish();
}

/** @throws {TooLarge} when it is larger than `maxSize`. */
export function announcedLength(request: IncomingMessage, maxSize: number): number | undefined {
  const header = request.headers["content-length"];
  if (header === undefined) return undefined;
  check(Number(header), maxSize);
  return Number(header);
}

function check(length: number, maxSize: number): void {
  if (length <= maxSize) return;
  const text = `the body has ${length} bytes or more, and receive.limits.max_request_size is ${maxSize}`;
  throw new TooLarge(text);
}

/** Calls `handle` for each chunk. If it throws, the rest is discarded. */
function forEachChunk(
  request: IncomingMessage,
  permit: Permit,
  abort: AbortSignal,
  handle: (chunk: Buffer) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void) => {
      request.off("data", take);
      request.off("end", end);
      abort.removeEventListener("abort", stop);
      permit.arrived();
      outcome();
    };
    const take = (chunk: Buffer) => {
      try {
        handle(chunk);
      } catch (error) {
        fail(error);
      }
    };
    const end = () => settle(resolve);
    const fail = (error: unknown) => settle(() => reject(error));
    const stop = () => fail(abort.reason);
    if (abort.aborted) return stop();
    permit.arriving(fail);
    abort.addEventListener("abort", stop, { once: true });
    request.on("data", take);
    request.on("end", end);
  });
}
