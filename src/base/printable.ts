/**
 * Makes text from elsewhere safe to show. Control characters steer a terminal, characters that change the direction of text or
 * have no width make it look like other text, and some readers end a line at line separators.
 */

/** Matches controls (C0, DEL and C1), formats, lone surrogates, private use, line separators, and what is drawn as nothing. */
const hidden = /[[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]--[\ufe0e\ufe0f]]/v;
const hiddenButLayout = new RegExp(`[${hidden.source}--[\\n\\t]]`, "gv");
/** Matches what may be hidden; most text has none and needs no second look. */
const other = /[^\n\t -~]/;

const names: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Whether the character is not visible as itself. */
export function isHidden(character: string): boolean {
  return hidden.test(character);
}

/** Returns the escape of a character, such as `\n`, `\x9b` or `\u{202e}`. */
export function escaped(character: string): string {
  const code = character.codePointAt(0)!;
  if (names[character]) return names[character];
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}

/** Escapes every hidden character other than tabs and line feeds. */
export function printable(text: string): string {
  return other.test(text) ? text.replace(hiddenButLayout, escaped) : text;
}

function jsonEscaped(character: string): string {
  return character.replace(/./gs, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Escapes hidden characters within JSON, so that it still has the same value. */
export function printableJson(json: string): string {
  return other.test(json) ? json.replace(hiddenButLayout, jsonEscaped) : json;
}

/** Returns the value as printable JSON on one line. */
export function toJson(value: unknown): string {
  return printableJson(JSON.stringify(value));
}
