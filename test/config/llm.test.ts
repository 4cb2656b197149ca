import { expect, it } from "vitest";
import { parseConfig } from "../../src/index.ts";

it("reads calls of language models by default, masked and without prices", () => {
  expect(parseConfig({}).llm).toEqual({ enabled: true, capture: "masked", prices: [] });
});

it("takes prices, and names what is wrong with them", () => {
  const prices = [{ model: "gpt-5*", input: 1.25, output: 10, cached: 0.125 }];
  expect(parseConfig({ llm: { capture: "none", prices } }).llm).toEqual({
    enabled: true,
    capture: "none",
    prices,
  });
  expect(() =>
    parseConfig({ llm: { capture: "all", prices: [{ model: "x", input: -1, outputs: 1 }] } }),
  ).toThrow(/llm\.capture: .*llm\.prices\.0\.input: .*llm\.prices\.0\.outputs: /s);
});
