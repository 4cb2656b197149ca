/** The kinds of values that keys hold. */
import { z } from "zod";

/** What the schema says about a key besides its type, its default and its bounds; read by keys.ts. */
export interface KeyMeta {
  /** Explains the key in complete sentences, for the reference; set with `describe`. */
  description?: string;
  /** Completes "must be …" in error messages. */
  expected?: string;
  /** The unit in which a number is shown. */
  unit?: "bytes" | "ms";
  /** The value is never shown. */
  secret?: boolean;
}

/** Bytes: a whole number, or a number with KiB, MiB or GiB. */
export const bytes = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d+(\.\d+)?\s*(B|KiB|MiB|GiB)$/)
      .transform((text) => {
        const unit = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }[/([KMG]i)?B$/.exec(text)![0]]!;
        return Number.parseFloat(text) * unit;
      }),
  ])
  .pipe(z.number().int().positive())
  .meta({ expected: "a size such as 64MiB", unit: "bytes" } satisfies KeyMeta);

/** Milliseconds: a whole number, or a number with ms, s, m, h or d. */
export const duration = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d+(\.\d+)?\s*(ms|s|m|h|d)$/)
      .transform((text) => {
        const unit = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 }[/[a-z]+$/.exec(text)![0]]!;
        return Math.round(Number.parseFloat(text) * unit);
      }),
  ])
  .pipe(z.number().int().nonnegative())
  .meta({ expected: "a duration such as 30s", unit: "ms" } satisfies KeyMeta);

/** An address to listen at, host:port. IPv6 addresses stand in brackets; port 0 is any free port. */
export const listen = z
  .string()
  .regex(/^(\[[0-9a-fA-F:.]+\]|[^:\s]+):\d{1,5}$/)
  .refine(
    (address) => Number(address.slice(address.lastIndexOf(":") + 1)) < 65536,
    "must have a port below 65536",
  )
  .meta({ expected: "an address such as 127.0.0.1:4317" } satisfies KeyMeta);

export const path = z
  .string()
  .min(1)
  .meta({ expected: "a path" } satisfies KeyMeta);

/** A whole number of at least 1. */
export const count = z.number().int().positive();

export const url = z
  .url({ protocol: /^https?$/ })
  .meta({ expected: "a URL such as http://127.0.0.1:14317" } satisfies KeyMeta);

/** A section whose defaults are those of its fields: `{}` is parsed, so that each default is written once. */
export function section<T extends z.ZodRawShape>(shape: T) {
  return z.strictObject(shape).prefault({} as never);
}
