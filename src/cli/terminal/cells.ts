/** Splits text into cells of known width that cannot move the cursor, change colours or reorder text. */
import { escaped, isHidden } from "../../base/printable.ts";

export interface Cell {
  text: string;
  /** Number of columns. */
  width: number;
  novel: boolean;
}

/** A half-open range, in bytes of UTF-8. */
export interface ByteRange {
  start: number;
  end: number;
}

const mark = /\p{M}/u;
const spacing = /\p{Mc}/u;
/** Maximum number of combining marks per character; more of them would cover other lines. */
const maxMarks = 3;
/** Matches East Asian Wide and Fullwidth characters (UAX #11), and emoji. */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;

function cell(character: string, novel: boolean): Cell {
  if (isHidden(character)) {
    const text = escaped(character);
    return { text, width: text.length, novel };
  }
  return { text: character, width: wide.test(character) ? 2 : 1, novel };
}

/** Splits a text into cells. `novel` are its novel parts, in ascending order. */
export function toCells(text: string, novel: readonly ByteRange[] = []): Cell[] {
  const cells: Cell[] = [];
  let at = 0;
  let range = 0;
  let marks = maxMarks;
  for (const character of text) {
    while (range < novel.length && novel[range]!.end <= at) range++;
    const inside = range < novel.length && novel[range]!.start <= at;
    at += Buffer.byteLength(character);
    if (!mark.test(character) || isHidden(character)) {
      const next = cell(character, inside);
      cells.push(next);
      // A mark must not join an escape.
      marks = next.text === character ? 0 : maxMarks;
    } else if (marks < maxMarks) {
      const last = cells.at(-1)!;
      last.text += character;
      last.width += spacing.test(character) ? 1 : 0;
      last.novel ||= inside;
      marks++;
    } else {
      cells.push({ text: `\u25cc${character}`, width: spacing.test(character) ? 2 : 1, novel: inside });
    }
  }
  return cells;
}

/** Makes a text safe, and truncates it to the given number of columns, with an ellipsis at its end. */
export function truncate(text: string, columns: number): string {
  const cells = toCells(text);
  let width = cells.reduce((sum, cell) => sum + cell.width, 0);
  if (width <= columns) return cells.map((cell) => cell.text).join("");
  while (cells.length > 0 && width > columns - 1) width -= cells.pop()!.width;
  return `${cells.map((cell) => cell.text).join("")}…`;
}

/** Returns the number of columns of a text once it is safe. */
export function columnsOf(text: string): number {
  return toCells(text).reduce((sum, cell) => sum + cell.width, 0);
}
