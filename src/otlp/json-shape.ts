import { Code, ExportError } from "./protocol.ts";

/** The most levels of arrays and objects: 30 levels of nested attribute values, which is below the 100 of protobuf parsers. */
export const maxJsonDepth = 128;

/** How many bytes are read before other work may run. */
const slice = 2 ** 20;

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/**
 * Estimates the size of JSON text before it is parsed, because the parsed objects may be 20 times as large as the text.
 * @returns an upper limit on the number of values and keys in it.
 * @throws {ExportError} INVALID_ARGUMENT if it is nested too deeply.
 */
export async function countJsonValues(text: Buffer): Promise<number> {
  let depth = 0;
  let values = 1;
  let inString = false;
  let i = 0;
  while (i < text.length) {
    if (i > 0) await new Promise(setImmediate);
    const end = Math.min(i + slice, text.length);
    for (; i < end; i += 1) {
      const byte = text[i];
      if (inString) {
        if (byte === quote) inString = false;
        else if (byte === backslash) i += 1;
        continue;
      }
      switch (byte) {
        case quote:
          inString = true;
          break;
        case comma:
        case colon:
          values += 1;
          break;
        case openBracket:
        case openBrace:
          values += 1;
          depth += 1;
          if (depth > maxJsonDepth) {
            const text = `the JSON is nested deeper than ${maxJsonDepth} levels at byte ${i}`;
            throw new ExportError(Code.INVALID_ARGUMENT, text);
          }
          break;
        case closeBracket:
        case closeBrace:
          depth -= 1;
          break;
      }
    }
  }
  return values;
}
