/** The text on one line, without control characters, and of at most `maxLength` characters before an ellipsis. */
export function truncateLine(text: string, maxLength = 1_000): string {
  const line = text
    .slice(0, maxLength + 1)
    .replace(/\p{Cc}+/gu, " ")
    .trim();
  return line.length > maxLength ? `${line.slice(0, maxLength)}…` : line;
}
