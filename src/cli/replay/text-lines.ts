/** Of a line, in bytes, its end left out. */
export const maxLineSize = 64 * 1024;

export interface TextLine {
  text: string;
  /** From 1 on. */
  number: number;
  /** The line is longer than 64 KiB: `text` is its beginning. */
  cut?: true;
}

/**
 * Lines of UTF-8 text; what is not UTF-8 becomes U+FFFD. Lines end with LF or CRLF, and the last may have no end. A byte order
 * mark is left out. No more than 64 KiB of a line is held.
 */
export async function* textLines(input: AsyncIterable<Buffer>): AsyncGenerator<TextLine, void> {
  let number = 0;
  let parts: Buffer[] = [];
  /** Bytes of `parts`, and of the whole line so far. */
  let [held, size] = [0, 0];
  const add = (part: Buffer) => {
    size += part.length;
    const kept = part.subarray(0, maxLineSize + 1 - held);
    if (kept.length > 0) parts.push(kept);
    held += kept.length;
  };
  const take = (): TextLine => {
    const line = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    const hasReturn = size === held && line.at(-1) === 0x0d;
    const length = hasReturn ? size - 1 : size;
    [parts, held, size] = [[], 0, 0];
    number++;
    const cut = length > maxLineSize;
    let text = line.toString("utf8", 0, cut ? wholeCharacters(line, maxLineSize) : length);
    if (number === 1) text = text.replace(/^\ufeff/, "");
    return { text, number, ...(cut && { cut }) };
  };
  for await (const chunk of input) {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      add(chunk.subarray(start, end));
      yield take();
      start = end + 1;
    }
    if (start < chunk.length) add(chunk.subarray(start));
  }
  if (size > 0) yield take();
}

/** How many of at most `length` bytes do not cut a character of UTF-8 in two. */
function wholeCharacters(bytes: Buffer, length: number): number {
  let end = length;
  while (end > length - 4 && (bytes[end]! & 0xc0) === 0x80) end--;
  return end;
}
