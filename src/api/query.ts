/** Query parameters that several routes have. */
import { z } from "zod";
import { examples } from "../json/examples.ts";

/** For routes without parameters: a parameter that is meant to filter must not be ignored. */
export const noParameters = z.strictObject({});

/** Accepts one value, or the parameter several times. */
export function oneOrMore<T extends z.ZodType<string>>(value: T) {
  return z
    .union([z.array(value).min(1).max(20), value])
    .transform((found) => [found].flat() as z.output<T>[])
    .optional();
}

export const time = z.iso
  .datetime({
    offset: true,
    error: "must be RFC 3339 with a zone, such as 2026-01-31T12:00:00Z (in a URL a + is %2B)",
  })
  .max(64)
  .meta({ examples: [examples.time] });

/** The id of an anomaly or a stream. */
export const id = z
  .string()
  .regex(/^[0-9A-Za-z_-]{1,64}$/, "must be 1 to 64 letters, digits, - or _")
  .meta({ description: "1 to 64 letters, digits, - or _", examples: [examples.id] });
