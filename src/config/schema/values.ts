/** The kinds of values that keys hold. */
import { isIPv4, isIPv6 } from "node:net";
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

/** Whether a host is a name, an IPv4 address, or an IPv6 address in brackets. Digits and dots alone make no name. */
function isHost(host: string): boolean {
  if (host.startsWith("[")) return isIPv6(host.slice(1, -1));
  return /^[\d.]+$/.test(host) ? isIPv4(host) : true;
}

/** An address to listen at, host:port. IPv6 addresses stand in brackets; port 0 is any free port. */
export const listen = z
  .string()
  .regex(/^(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}$/, { abort: true })
  .refine(
    (address) => isHost(address.slice(0, address.lastIndexOf(":"))),
    "must have an IP address or a host name before its port",
  )
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

/** Why no server is at a well-formed URL; undefined if there may be one. */
function serverFault(text: string, mayNameSocket: boolean): string | undefined {
  const { hostname, port, searchParams } = new URL(text);
  const host = hostname || (mayNameSocket && searchParams.get("host"));
  if (!host || /^\.+$/.test(host)) return "must name a host, such as 127.0.0.1";
  return port === "0" ? "must have a port from 1 to 65535, or none" : undefined;
}

/** The URL of a server. @param mayNameSocket whether a query `host=/folder` may name the folder of its socket. */
export function serverUrl(protocol: RegExp, mayNameSocket = false) {
  return z.url({ protocol, abort: true }).superRefine((text, context) => {
    const message = serverFault(text, mayNameSocket);
    if (message !== undefined) context.addIssue({ code: "custom", message });
  });
}

export const url = serverUrl(/^https?$/).meta({
  expected: "a URL such as http://127.0.0.1:14317",
} satisfies KeyMeta);

/** A section whose defaults are those of its fields: `{}` is parsed, so that each default is written once. */
export function section<T extends z.ZodRawShape>(shape: T) {
  return z.strictObject(shape).prefault({} as never);
}
