/**
 * Returns a function that tells whether a text matches a pattern as a whole. `*` stands for any text and `?` for any character;
 * case matters.
 */
export function matcherOf(pattern: string): (text: string) => boolean {
  // Several stars in a row mean the same as one, and would only make the search slower.
  const parts = pattern.replace(/\*+/g, "*").split("*");
  return (text) => matches(parts, text);
}

/** Matches the parts between stars one after the other, each as early as possible, in time of the product of the lengths. */
function matches(parts: readonly string[], text: string): boolean {
  const first = parts[0]!;
  if (parts.length === 1) return text.length === first.length && at(first, text, 0);
  const last = parts.at(-1)!;
  if (!at(first, text, 0) || text.length < first.length + last.length) return false;
  if (!at(last, text, text.length - last.length)) return false;
  let from = first.length;
  const end = text.length - last.length;
  for (const part of parts.slice(1, -1)) {
    while (from + part.length <= end && !at(part, text, from)) from++;
    if (from + part.length > end) return false;
    from += part.length;
  }
  return true;
}

/** Whether a part without stars matches the text at a place. */
function at(part: string, text: string, from: number): boolean {
  if (from + part.length > text.length) return false;
  for (let i = 0; i < part.length; i++) {
    if (part[i] !== "?" && part[i] !== text[from + i]) return false;
  }
  return true;
}
