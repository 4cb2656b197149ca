import { expect, test } from "vitest";
import { chance, figure, rangeTimes, readableUnit, span } from "../../src/evidence/pdf/words.ts";

test.each([
  [0, "0"],
  [0.0004, "0.0004"],
  [6.3e-7, "6.30e-7"],
  [12.3456, "12.35"],
  [8_120, "8,120"],
  [1_234_567, "1,234,567"],
  [1e10, "1.00e10"],
  [-1_500, "-1,500"],
])("%d is written as %s", (value, text) => {
  expect(figure(value)).toBe(text);
});

test.each([
  [0.0004, "about one of 2,500 (p = 0.0004)"],
  [6.3e-7, "about one of 1.6 million"],
  [4.73e-15, "fewer than one of a billion"],
  [0, "fewer than one of a billion"],
])("the chance of %d is %s", (pValue, text) => {
  expect(chance(pValue)).toContain(text);
});

test("durations and units are those that people use", () => {
  expect([0, 59_400, 130_000, 5_700_000, 7_776_000_000].map(span)).toEqual([
    "0 s",
    "59 s",
    "2 min 10 s",
    "1 h 35 min",
    "90 d",
  ]);
  expect(readableUnit("ns", 2e10)).toEqual({ factor: 1e-9, name: "s" });
  expect(readableUnit("ns", 2e7)).toEqual({ factor: 1e-6, name: "ms" });
  expect(readableUnit("{record}", 5).name).toBe("record");
  expect(rangeTimes(0, 86_400_000)).toEqual(["1970-01-01 00:00:00", "1970-01-02 00:00:00"]);
  expect(rangeTimes(0, 70)).toEqual(["1970-01-01 00:00:00.000", "1970-01-01 00:00:00.070"]);
});
