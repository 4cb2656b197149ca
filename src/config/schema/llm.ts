/** What is read of the input and output of language models. */
import { z } from "zod";
import { type KeyMeta, section } from "./values.ts";

/** What is kept of the texts of prompts, responses and tool calls. */
export const captures = ["none", "masked", "full"] as const;
export type Capture = (typeof captures)[number];

const perMillion = z.number().min(0).max(1e9);

/** The prices of a model per million tokens. */
export const price = z.strictObject({
  model: z.string().min(1).max(256).describe("A pattern of the model's name."),
  input: perMillion.describe("The price of a million input tokens."),
  output: perMillion.describe("The price of a million output tokens."),
  cached: perMillion
    .optional()
    .describe("The price of a million input tokens that were read from a cache; that of others by default."),
});

/** The largest number of prices. */
export const maxPrices = 1000;

export const llm = section({
  enabled: z
    .boolean()
    .default(true)
    .describe(
      "If true, calls of language models are read from spans and log records, their new turns are judged, and their figures are.",
    ),
  capture: z
    .enum(captures)
    .default("masked")
    .describe(
      "What is stored and shown of prompts, responses and tool calls: `none` of their text, the text `masked` as `privacy.stored` says, or the `full` text. Explanations of anomalies are masked as `privacy.stored` says in any case.",
    ),
  prices: z
    .array(price)
    .max(maxPrices)
    .default([])
    .meta({
      expected: "a list of prices such as [{model: gpt-5*, input: 1.25, output: 10, cached: 0.125}]",
    } satisfies KeyMeta)
    .describe(
      "What a million tokens cost, in any one currency. The first entry whose pattern matches the model counts. The cost of a call of a model that has none is unknown.",
    ),
});

export type LlmConfig = z.output<typeof llm>;
