/** Sends a page in the requested format: JSON, newline-delimited JSON, or CSV. */
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { printable, toJson } from "../base/printable.ts";
import { examples } from "../json/examples.ts";
import { ApiError } from "./problem.ts";

export const formats = ["json", "ndjson", "csv"] as const;
export type Format = (typeof formats)[number];

const types = {
  json: "application/json",
  ndjson: "application/x-ndjson",
  csv: "text/csv",
} as const satisfies Record<Format, string>;

/** Returns the format of the answer. `format` overrides the Accept header. */
export function formatOf(request: FastifyRequest, format: Format | undefined): Format {
  if (format !== undefined) return format;
  const accepted = (request.headers.accept ?? "*/*").split(",").map((part) => {
    const [range = "", ...parameters] = part.split(";").map((piece) => piece.trim().toLowerCase());
    const weight = parameters.find((parameter) => parameter.startsWith("q="));
    return { range, weight: weight === undefined ? 1 : Number(weight.slice(2)) };
  });
  accepted.sort((a, b) => b.weight - a.weight);
  for (const { range, weight } of accepted) {
    if (!(weight > 0)) break;
    const found = formats.find((name) => {
      const type = types[name];
      return range === type || range === "*/*" || range === `${type.slice(0, type.indexOf("/"))}/*`;
    });
    if (found !== undefined) return found;
  }
  throw new ApiError(406, `accept: none of it can be given; there are ${Object.values(types).join(", ")}`);
}

/**
 * Matches the places at which a spreadsheet would start a formula: at the start of a cell, or after a line break or a
 * possible delimiter. Quotes and spaces before it do not prevent this, and the full-width forms of the signs are not
 * harmless either.
 */
const formula = /(?<=^|[\n,;|\t])(?=["'\s]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r])/g;

/**
 * Returns a printable cell as in RFC 4180, with an apostrophe before anything that a spreadsheet would run as a formula.
 */
function cell(value: string | number | null): string {
  if (value === null) return "";
  if (typeof value === "number") return String(value);
  const tame = printable(value).replace(formula, "'");
  return /[",;|\t\n]/.test(tame) ? `"${tame.replaceAll('"', '""')}"` : tame;
}

export type Columns<T> = Readonly<Record<string, (item: T) => string | number | null>>;

function toCsv<T>(items: readonly T[], columns: Columns<T>): string {
  const lines = items.map((item) => Object.values(columns).map((column) => cell(column(item))));
  return [Object.keys(columns), ...lines].map((cells) => `${cells.join(",")}\r\n`).join("");
}

export interface PageOf<T> {
  items: T[];
  next?: string;
}

/**
 * The schema of a page.
 * @param example an item of the page
 */
export function pageSchema<T extends z.ZodType>(item: T, description: string, example: unknown) {
  return z
    .object({
      items: z.array(item),
      next: z.string().optional().describe("Set if there are more items: pass it as `after`"),
    })
    .meta({ description, examples: [{ items: [example], next: examples.cursor }] });
}

/** The response that a route declares if it answers with `sendPage`. */
export function pageContent<T extends z.ZodType>(
  item: T,
  description: string,
  example: object,
  columns: readonly string[],
) {
  return {
    description,
    content: {
      [types.json]: { schema: pageSchema(item, description, example) },
      [types.ndjson]: {
        schema: z
          .string()
          .meta({ description: "One item per line", examples: [`${JSON.stringify(example)}\n`] }),
      },
      [types.csv]: {
        schema: z.string().meta({
          description: "A header line, and one item per line",
          examples: [`${columns.join(",")}\r\n`],
        }),
      },
    },
  };
}

/** Sends a page. The Link header names the next page as well (RFC 8288). */
export function sendPage<T>(
  request: FastifyRequest,
  reply: FastifyReply,
  format: Format,
  page: PageOf<T>,
  columns: Columns<T>,
): FastifyReply {
  if (page.next !== undefined) {
    const url = new URL(request.url, "http://host");
    url.searchParams.set("after", page.next);
    reply.header("link", `<${url.pathname}${url.search}>; rel="next"`);
  }
  const vary = reply.getHeader("vary");
  reply.header("vary", vary === undefined ? "accept" : `${vary}, accept`);
  if (format === "json") return reply.type(types.json).send(page);
  // It is sent as text, since a serializer would quote it.
  const text =
    format === "csv" ? toCsv(page.items, columns) : page.items.map((item) => `${toJson(item)}\n`).join("");
  return reply.type(`${types[format]}; charset=utf-8`).serializer(String).send(text);
}

export const paging = {
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(1_000)
    .default(100)
    .meta({ description: "Number of items per page", examples: [100] }),
  after: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,512}$/, "is not the cursor of a page; use `next` of the previous page")
    .optional()
    .meta({ description: "`next` of the previous page", examples: [examples.cursor] }),
};
