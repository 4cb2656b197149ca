/** JSON whose numbers keep all their digits, where JavaScript's would be rounded. */
import { randomBytes } from "node:crypto";

/**
 * Stands before the digits of such a number. No sender knows it, so no string of theirs looks like one. Its first character
 * is in no base64, hexadecimal or name, so that a field of such text refuses a number as well.
 */
const mark = `#${randomBytes(6).toString("base64url")}`;
const open = Buffer.from(`"${mark}`);
const close = Buffer.from('"');

/** From so many characters on a number may have more digits than a double keeps. */
const longNumber = 16;

const quote = 0x22;
const backslash = 0x5c;
const minus = 0x2d;

/**
 * Parses JSON in UTF-8. Numbers that a double may not hold exactly become strings, which `exactNumber` recognises.
 * @throws {SyntaxError} for what is not JSON; {TypeError} for what is not UTF-8.
 */
export function parseJson(text: Uint8Array): unknown {
  const spans = longNumbers(text);
  if (spans.length === 0) return JSON.parse(decode(text));
  const source = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  const marked = Buffer.allocUnsafeSlow(source.length + (spans.length / 2) * (open.length + close.length));
  let from = 0;
  let to = 0;
  const copyUntil = (end: number) => {
    to += source.copy(marked, to, from, end);
    from = end;
  };
  for (let i = 0; i < spans.length; i += 2) {
    copyUntil(spans[i]!);
    to += open.copy(marked, to);
    copyUntil(spans[i + 1]!);
    to += close.copy(marked, to);
  }
  copyUntil(source.length);
  try {
    return JSON.parse(decode(marked));
  } catch {
    // The complaint is to be about the text as it was sent.
    return JSON.parse(decode(text));
  }
}

function decode(text: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(text);
}

/** The digits of a number that `parseJson` has kept as they were; undefined for any other value. */
export function exactNumber(value: unknown): string | undefined {
  return typeof value === "string" && value.startsWith(mark) ? value.slice(mark.length) : undefined;
}

/** Where those numbers begin and end that a double may not hold: they are long, or have an exponent. */
function longNumbers(text: Uint8Array): number[] {
  const spans: number[] = [];
  for (let i = 0; i < text.length; i += 1) {
    const byte = text[i]!;
    if (byte === quote) {
      for (i += 1; i < text.length && text[i] !== quote; i += 1) if (text[i] === backslash) i += 1;
      continue;
    }
    if (!isDigit(byte) && byte !== minus) continue;
    const start = i;
    let exponent = false;
    for (; i < text.length && isOfNumber(text[i]!); i += 1) exponent ||= (text[i]! | 0x20) === 0x65;
    const long = exponent || i - start >= longNumber;
    if (long && isNumber(text.subarray(start, i)) && !isKey(text, i)) spans.push(start, i);
    i -= 1;
  }
  return spans;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** Digits, sign, point and exponent. */
function isOfNumber(byte: number): boolean {
  return isDigit(byte) || byte === minus || byte === 0x2b || byte === 0x2e || (byte | 0x20) === 0x65;
}

/** As JSON writes it: anything else is left for the parser to refuse. */
function isNumber(bytes: Uint8Array): boolean {
  return /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(Buffer.from(bytes).toString("latin1"));
}

/** What stands before `end` would be a key, which a number cannot be. */
function isKey(text: Uint8Array, end: number): boolean {
  let i = end;
  while (text[i] === 0x20 || text[i] === 0x09 || text[i] === 0x0a || text[i] === 0x0d) i += 1;
  return text[i] === 0x3a;
}

/** Longer than any integer of 64 bits, whatever its sign, point and zeros: a longer exponent is none. */
const maxExponent = 1_000;

/**
 * The integer that a decimal stands for, such as "17", "1.70e1" or "-0"; undefined for one that is not integral, and for
 * what is no decimal. Integers beyond 64 bits are given as some integer beyond 64 bits.
 */
export function integerOf(decimal: string): bigint | undefined {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(decimal);
  if (match === null) return undefined;
  const [, sign, whole, fraction = "", exponent = "0"] = match as unknown as [string, string, string];
  const digits = `${whole}${fraction}`.replace(/^0+/, "");
  if (digits === "") return 0n;
  const significant = trimZeros(digits);
  const zeros = Number(exponent) - fraction.length + (digits.length - significant.length);
  if (zeros < 0) return undefined;
  const length = Math.min(significant.length + zeros, maxExponent);
  const magnitude = length > 20 ? 10n ** 20n : BigInt(significant + "0".repeat(zeros));
  return sign === "-" ? -magnitude : magnitude;
}

function trimZeros(digits: string): string {
  let end = digits.length;
  while (digits[end - 1] === "0") end -= 1;
  return digits.slice(0, end);
}
