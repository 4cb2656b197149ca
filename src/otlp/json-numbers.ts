/** Parses JSON so that numbers keep all digits that JavaScript would round. */
import { randomBytes } from "node:crypto";

/**
 * The mark before the digits of such a number. No sender knows it, so none of their strings looks like a number. Its first
 * character is not in base64, hexadecimal or names, so that fields of such text refuse a number as well.
 */
const mark = `#${randomBytes(6).toString("base64url")}`;
const open = Buffer.from(`"${mark}`);
const close = Buffer.from('"');

/** A number of at least this many characters may have more digits than a double keeps. */
const longNumber = 16;

const quote = 0x22;
const backslash = 0x5c;
const minus = 0x2d;

/**
 * Parses JSON in UTF-8. Numbers that a double may not hold exactly become strings, which `exactNumber` recognizes.
 * @throws {SyntaxError} if the text is not JSON, and {TypeError} if it is not UTF-8.
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
    // The error has to be about the text as it was sent.
    return JSON.parse(decode(text));
  }
}

function decode(text: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(text);
}

/** Returns the digits of a number that `parseJson` has kept; undefined for any other value. */
export function exactNumber(value: unknown): string | undefined {
  return typeof value === "string" && value.startsWith(mark) ? value.slice(mark.length) : undefined;
}

/** Returns where the numbers that a double may not hold begin and end: they are long, or have an exponent. */
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

/** Whether the byte may be part of a number: a digit, a sign, a point or an exponent. */
function isOfNumber(byte: number): boolean {
  return isDigit(byte) || byte === minus || byte === 0x2b || byte === 0x2e || (byte | 0x20) === 0x65;
}

/** Whether JSON allows the number; otherwise the parser refuses it. */
function isNumber(bytes: Uint8Array): boolean {
  return /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(Buffer.from(bytes).toString("latin1"));
}

/** Whether the text before `end` is a key, which a number cannot be. */
function isKey(text: Uint8Array, end: number): boolean {
  let i = end;
  while (text[i] === 0x20 || text[i] === 0x09 || text[i] === 0x0a || text[i] === 0x0d) i += 1;
  return text[i] === 0x3a;
}

/** The most digits that are computed: more than any 64-bit integer has, whatever its sign, point and zeros. */
const maxExponent = 1_000;

/**
 * Returns the integer that a decimal such as "17", "1.70e1" or "-0" stands for; undefined if it is not integral, or not a
 * decimal. An integer beyond 64 bits is returned as some integer beyond 64 bits.
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
