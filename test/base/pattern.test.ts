import { expect, test } from "vitest";
import { matcherOf } from "../../src/base/pattern.ts";

test.each([
  ["checkout", "checkout", true],
  ["checkout", "checkout2", false],
  ["check*", "checkout", true],
  ["*out", "checkout", true],
  ["*", "", true],
  ["**", "anything", true],
  ["c*k*t", "checkout", true],
  ["c*k*t", "checkouts", false],
  ["?heckout", "checkout", true],
  ["?", "", false],
  ["a*a", "a", false],
  ["a*?b", "ab", false],
  ["a*?b", "axb", true],
  ["*a*b*", "xxbxxa", false],
  ["*a*b*", "xxaxxb", true],
  ["Check*", "checkout", false],
  ["a.c", "abc", false],
])("%j matches %j: %s", (pattern, text, matched) => {
  expect(matcherOf(pattern)(text)).toBe(matched);
});
