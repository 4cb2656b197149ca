/** What is wrong with a request, in the words of the product: the member, what it must be, and the nearest that there is. */
import type { FastifySchemaCompiler } from "fastify";
import { z } from "zod";
import { nearest } from "../base/nearest.ts";

export interface Fault {
  /** Empty for the whole. */
  path: readonly PropertyKey[];
  detail: string;
}

/** RFC 6901. */
export function pointer(path: readonly PropertyKey[]): string {
  return path.map((step) => `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/** What does not fit its schema. */
export class Misfit extends Error {
  readonly faults: readonly Fault[];
  /** Which part of the request, as fastify calls it: it sets this. */
  validationContext?: string;

  constructor(faults: readonly Fault[]) {
    super("does not fit the schema");
    this.faults = faults;
  }
}

/** Of members that there are not. */
const maxUnknown = 3;

const kinds: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  object: "an object",
  record: "an object",
  array: "a list",
};

/** @throws {Misfit} */
export function fitted<T extends z.ZodType>(schema: T, data: unknown): z.output<T> {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  const names = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
  throw new Misfit(parsed.error.issues.flatMap((issue) => explain(issue, data, names)));
}

/** For fastify, in which an error is a value. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema }) =>
  (data) => {
    try {
      return { value: fitted(schema, data) };
    } catch (error) {
      return { error: error as Error };
    }
  };

function valueAt(data: unknown, path: readonly PropertyKey[]): unknown {
  let value = data;
  for (const step of path) value = (value as Record<PropertyKey, unknown> | null | undefined)?.[step];
  return value;
}

/** @param names of members that there are */
function explain(issue: z.core.$ZodIssue, data: unknown, names: readonly string[]): Fault[] {
  const { path } = issue;
  const value = valueAt(data, path);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.slice(0, maxUnknown).map((key) => ({
        path: [...path, key],
        detail: `is unknown; ${choice(key, names, "there are")}`,
      }));
    case "invalid_union": {
      // Of a parameter that may be given several times: a list of values, or one.
      const branch = issue.errors[Array.isArray(value) ? 0 : issue.errors.length - 1]!;
      return branch.flatMap((each) =>
        explain({ ...each, path: [...path, ...each.path] } as z.core.$ZodIssue, data, names),
      );
    }
    case "invalid_value":
      return [
        { path, detail: `is not one that there is; ${choice(value, issue.values.map(String), "use")}` },
      ];
    case "too_small":
      return [{ path, detail: bound(issue.origin, "at least", Number(issue.minimum)) }];
    case "too_big":
      return [{ path, detail: bound(issue.origin, "at most", Number(issue.maximum)) }];
    case "invalid_type":
      return [{ path, detail: ofKind(issue.expected, value) }];
    case "invalid_key":
      return [{ path, detail: "is no name: it must have 1 to 256 characters" }];
    default:
      return [{ path, detail: issue.message }];
  }
}

function choice(word: unknown, names: readonly string[], others: string): string {
  const guess = typeof word === "string" ? nearest(word, names) : undefined;
  return guess === undefined ? `${others} ${names.join(", ") || "none"}` : `did you mean ${guess}?`;
}

function bound(origin: string, word: string, limit: number): string {
  if (origin === "string") {
    return limit === 1 && word === "at least" ? "must not be empty" : `must have ${word} ${limit} characters`;
  }
  if (origin === "array") return `must have ${word} ${limit} values`;
  return `must be ${word} ${limit}`;
}

function ofKind(expected: string, value: unknown): string {
  if (value === undefined || value === null) return "is missing";
  if (Array.isArray(value) && expected !== "object" && expected !== "record") return "must be given once";
  return `must be ${kinds[expected] ?? expected}`;
}
