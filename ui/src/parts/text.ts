/** Texts of records, which come from elsewhere and may contain anything. */
import { printable } from "../../../src/base/printable.ts";

export { printable };

export interface Piece {
  text: string;
  novel: boolean;
}

/**
 * Divides a text into novel and known pieces.
 * @param novel ranges in bytes of UTF-8, in ascending order
 */
export function divide(text: string, novel: readonly { start: number; end: number }[]): Piece[] {
  const bytes = new TextEncoder().encode(text);
  const decoder = new TextDecoder();
  const pieces: Piece[] = [];
  const add = (start: number, end: number, isNovel: boolean) => {
    if (start < end) pieces.push({ text: decoder.decode(bytes.subarray(start, end)), novel: isNovel });
  };
  let at = 0;
  for (const { start, end } of novel) {
    add(at, Math.min(start, bytes.length), false);
    add(Math.max(at, start), Math.min(end, bytes.length), true);
    at = Math.max(at, Math.min(end, bytes.length));
  }
  add(at, bytes.length, false);
  return pieces;
}

const token = /\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu;
/** Beyond this many words texts are not aligned, which takes the product of their numbers. */
const maxTokens = 400;

export interface Pair {
  /** What the first text has here; empty if it has nothing. */
  first: string;
  /** What the second text has here. */
  second: string;
  same: boolean;
}

/**
 * Aligns two texts word by word, by their longest common subsequence. Words in a row that are alike, or that are not, are
 * joined. Returns undefined if the texts are too long.
 */
export function align(first: string, second: string): Pair[] | undefined {
  const a = first.match(token) ?? [];
  const b = second.match(token) ?? [];
  if (a.length > maxTokens || b.length > maxTokens) return undefined;
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      lengths[i * width + j] =
        a[i] === b[j]
          ? lengths[(i + 1) * width + j + 1]! + 1
          : Math.max(lengths[(i + 1) * width + j]!, lengths[i * width + j + 1]!);
    }
  }
  const pairs: Pair[] = [];
  const add = (one: string, other: string) => {
    const same = one !== "" && other !== "";
    const last = pairs.at(-1);
    if (last === undefined || last.same !== same) pairs.push({ first: one, second: other, same });
    else {
      last.first += one;
      last.second += other;
    }
  };
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) add(a[i++]!, b[j++]!);
    else if (j >= b.length || (i < a.length && lengths[(i + 1) * width + j]! >= lengths[i * width + j + 1]!))
      add(a[i++]!, "");
    else add("", b[j++]!);
  }
  return joined(pairs);
}

/** Joins what differs on both sides of a space or sign: two texts have those in common by chance. */
function joined(pairs: readonly Pair[]): Pair[] {
  const result: Pair[] = [];
  for (const [i, pair] of pairs.entries()) {
    const last = result.at(-1);
    const chance = pair.same && !/[\p{L}\p{N}]/u.test(pair.first) && i > 0 && i < pairs.length - 1;
    const same = pair.same && !chance;
    if (last !== undefined && last.same === same) {
      last.first += pair.first;
      last.second += pair.second;
    } else result.push({ ...pair, same });
  }
  return result;
}
