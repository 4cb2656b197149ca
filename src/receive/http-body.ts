import type { IncomingMessage } from "node:http";
import type { Permit } from "./admission.ts";
import { TooLarge } from "./too-large.ts";

/**
 * Reads a body of at most `maxSize` bytes. Where its length is known, that is held before the first byte is read.
 * @param begin called when the body is wanted, for senders that wait for it.
 * @throws {TooLarge} when it is larger; the reason of `abort`; what `Permit.hold` throws.
 */
export async function readBody(
  request: IncomingMessage,
  maxSize: number,
  permit: Permit,
  abort: AbortSignal,
  begin: () => void,
): Promise<Buffer> {
  const header = request.headers["content-length"];
  if (header === undefined) {
    begin();
    return readChunks(request, maxSize, permit, abort);
  }
  const length = Number(header);
  check(length, maxSize);
  permit.hold(length);
  begin();
  const body = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  // Node's parser ends the body where its length says.
  await forEachChunk(request, abort, (chunk) => {
    filled += chunk.copy(body, filled);
  });
  return body;
}

async function readChunks(
  request: IncomingMessage,
  maxSize: number,
  permit: Permit,
  abort: AbortSignal,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  await forEachChunk(request, abort, (chunk) => {
    check(length + chunk.length, maxSize);
    permit.hold(length + chunk.length);
    length += chunk.length;
    chunks.push(chunk);
  });
  return Buffer.concat(chunks, length);
}

function check(length: number, maxSize: number): void {
  if (length <= maxSize) return;
  const text = `the body has ${length} bytes or more, and receive.limits.max_request_size is ${maxSize}`;
  throw new TooLarge(text);
}

/** A chunk's handler may throw: what comes after is discarded. */
function forEachChunk(
  request: IncomingMessage,
  abort: AbortSignal,
  handle: (chunk: Buffer) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void) => {
      request.off("data", take);
      request.off("end", end);
      abort.removeEventListener("abort", stop);
      outcome();
    };
    const take = (chunk: Buffer) => {
      try {
        handle(chunk);
      } catch (error) {
        settle(() => reject(error));
      }
    };
    const end = () => settle(resolve);
    const stop = () => settle(() => reject(abort.reason));
    if (abort.aborted) return stop();
    abort.addEventListener("abort", stop, { once: true });
    request.on("data", take);
    request.on("end", end);
  });
}
