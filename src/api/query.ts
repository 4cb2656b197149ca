/** Parameters of queries. */
import { z } from "zod";

/** One value, or the parameter several times. */
export function oneOrMore<T extends z.ZodType<string>>(value: T) {
  return z
    .union([z.array(value).min(1).max(20), value])
    .transform((found) => [found].flat() as z.output<T>[])
    .optional();
}

export const time = z.iso.datetime({ offset: true }).max(64);

/** Of anomalies and streams. */
export const id = z
  .string()
  .regex(/^[0-9A-Za-z_-]{1,64}$/)
  .describe("1 to 64 letters, digits, - or _");
