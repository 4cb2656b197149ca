import type { Readable } from "node:stream";

/** Of a line, in bytes, its end left out. */
export const maxLineSize = 64 * 1024;

export interface TextLine {
  text: string;
  /** From 1 on. */
  number: number;
}

/**
 * Lines of UTF-8 text; what is not UTF-8 becomes U+FFFD. Ends of lines are LF or CRLF, and the last may be missing.
 * @throws Error that names the line which is longer than 64 KiB.
 */
export async function* textLines(input: Readable, name: string): AsyncGenerator<TextLine, void> {
  let number = 0;
  let parts: Buffer[] = [];
  let size = 0;
  const take = (last: Buffer): TextLine => {
    const line = parts.length > 0 ? Buffer.concat([...parts, last]) : last;
    parts = [];
    size = 0;
    number++;
    const end = line.at(-1) === 0x0d ? line.length - 1 : line.length;
    return { text: line.toString("utf8", 0, end), number };
  };
  const check = (length: number) => {
    if (length > maxLineSize) {
      throw new Error(`${name}:${number + 1}: the line is longer than ${maxLineSize} bytes; split or cut it`);
    }
  };
  for await (const chunk of input as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      check(size + end - start);
      yield take(chunk.subarray(start, end));
      start = end + 1;
    }
    size += chunk.length - start;
    check(size);
    if (start < chunk.length) parts.push(chunk.subarray(start));
  }
  if (size > 0) yield take(Buffer.alloc(0));
}
