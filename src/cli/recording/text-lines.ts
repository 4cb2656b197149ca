/** Maximum number of bytes of a line, without its end. */
export const maxLineSize = 64 * 1024;

export interface TextLine {
  text: string;
  /** The number of the line, from 1 on. */
  number: number;
  /** Set if the line is longer than 64 KiB; `text` is its beginning. */
  truncated?: true;
}

/**
 * Yields lines of UTF-8 text. Invalid UTF-8 becomes U+FFFD. Lines end with LF or CRLF; the end of the last one may be missing. A
 * byte order mark is removed. At most 64 KiB of a line are held in memory.
 */
export async function* textLines(input: AsyncIterable<Buffer>): AsyncGenerator<TextLine, void> {
  let number = 0;
  let parts: Buffer[] = [];
  /** Number of bytes in `parts`, and of the whole line so far. */
  let [kept, size] = [0, 0];
  const add = (part: Buffer) => {
    size += part.length;
    const beginning = part.subarray(0, maxLineSize + 1 - kept);
    if (beginning.length > 0) parts.push(beginning);
    kept += beginning.length;
  };
  const take = (): TextLine => {
    const line = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    const hasReturn = size === kept && line.at(-1) === 0x0d;
    const length = hasReturn ? size - 1 : size;
    [parts, kept, size] = [[], 0, 0];
    number++;
    const truncated = length > maxLineSize;
    let text = line.toString("utf8", 0, truncated ? wholeCharacters(line, maxLineSize) : length);
    if (number === 1) text = text.replace(/^\ufeff/, "");
    return { text, number, ...(truncated && { truncated }) };
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

/** Returns the largest number of bytes, up to `length`, that does not split a character of UTF-8. */
function wholeCharacters(bytes: Buffer, length: number): number {
  let end = length;
  while (end > length - 4 && (bytes[end]! & 0xc0) === 0x80) end--;
  return end;
}
