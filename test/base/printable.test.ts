import { describe, expect, it } from "vitest";
import { printable, printableJson, toJson } from "../../src/base/printable.ts";

/**
 * One character each: C0, DEL, C1, direction, no width, separators, private use, tags, fillers, variation selectors,
 * halves.
 */
const hidden = [
  ..."\0\x07\b\r\x1b\x7f\x80\x85\x9b\x9d\x9f\u00ad\u034f\u061c\u115f\u180e\u200b\u200d\u200f\u2028\u2029\u202a\u202e",
  ..."\u2060\u2066\u2069\u206f\u3164\ue000\ufeff\uffa0\ufff9\u{1d173}\u{e0001}\u{e0041}\u{e0100}\u{10fffd}",
  "\ud800",
  "\udfff",
];
const shown = ["a", "é", "e\u0301", "漢", "🙂", "❤\ufe0f", "\n", "\t", " ", "\u00a0", "ـ", "￥"];

describe("printable text", () => {
  it.each(hidden)("has no %j", (character) => {
    expect(printable(`a${character}b`)).toMatch(/^a\\(r|x[0-9a-f]{2}|u\{[0-9a-f]+\})b$/);
  });

  it.each(shown)("keeps %j", (text) => {
    expect(printable(text)).toBe(text);
    expect(printableJson(text)).toBe(text);
  });

  it("names what it hides", () => {
    expect(printable("\x9b31m\u202egnp.exe\r\0\u{e0041}")).toBe("\\x9b31m\\u{202e}gnp.exe\\r\\x00\\u{e0041}");
  });
});

describe("printable JSON", () => {
  it("says the same without hidden characters", () => {
    const value = { [hidden.join("")]: [hidden.join("x"), ...shown, 1, null] };
    const json = toJson(value);
    expect(JSON.parse(json)).toEqual(value);
    expect(printable(json)).toBe(json);
    expect(json).not.toContain("\n");
    expect(printableJson(`${JSON.stringify(value)}\n`)).toBe(`${json}\n`);
  });
});
