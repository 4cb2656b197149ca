import { plural } from "../../base/plural.ts";
import type { Signal } from "../../otlp/protocol.ts";
import type { Input, Source } from "./input.ts";

const lengthSize = 4;

/**
 * Reads Export*ServiceRequests, each behind its length in 4 bytes, big-endian.
 * @param maxSize maximum number of bytes of a request
 * @throws {Error} that names the request and where it begins.
 */
export async function* readRequests(
  input: AsyncIterable<Buffer>,
  { name }: Pick<Source, "name">,
  signal: Signal,
  maxSize: number,
): AsyncGenerator<Input, void> {
  let number = 1;
  let offset = 0;
  let parts: Buffer[] = [];
  let size = 0;
  /** Bytes of the request that is being read, including its length; undefined while that is unknown. */
  let needed: number | undefined;
  const place = () => `${name}: request ${number} at byte ${offset}`;

  for await (const chunk of input) {
    parts.push(chunk);
    size += chunk.length;
    while (size >= (needed ?? lengthSize)) {
      const joined: Buffer = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
      parts = [joined];
      if (needed === undefined) {
        const length = joined.readUInt32BE(0);
        if (length > maxSize) {
          throw new Error(
            `${place()} has a length of ${plural(length, "byte")}, but receive.limits.max_request_size is ${maxSize}; is the file length-delimited OTLP?`,
          );
        }
        needed = lengthSize + length;
        continue;
      }
      // A copy lets the chunk go, which contains bytes of other requests as well.
      yield { signal, body: Buffer.from(joined.subarray(lengthSize, needed)), place: place() };
      parts = [joined.subarray(needed)];
      size -= needed;
      offset += needed;
      needed = undefined;
      number++;
    }
  }
  if (size > 0) {
    const what = needed === undefined ? "its length" : plural(needed - lengthSize, "byte");
    throw new Error(`${place()} is truncated: ${what} should follow; is the file length-delimited OTLP?`);
  }
}
