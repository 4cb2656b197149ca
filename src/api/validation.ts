/** Validates requests. Issues name the member, what it must be, and the nearest known name. */
import type { FastifySchemaCompiler } from "fastify";
import { z } from "zod";
import { nearest } from "../base/nearest.ts";
import { plural } from "../base/plural.ts";

export interface Issue {
  /** The path into the data; empty for the whole. */
  path: readonly PropertyKey[];
  detail: string;
}

/** Returns the JSON pointer (RFC 6901) of a path. */
export function pointer(path: readonly PropertyKey[]): string {
  return path.map((step) => `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/** Data that does not match its schema. */
export class ValidationError extends Error {
  readonly issues: readonly Issue[];
  /** The part of the request, by fastify's name; set by fastify. */
  validationContext?: string;

  constructor(issues: readonly Issue[]) {
    super("does not match the schema");
    this.issues = issues;
  }
}

/** Maximum number of unknown members that are reported. */
const maxUnknown = 3;

const kinds: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  object: "an object",
  record: "an object",
  array: "a list",
};

/**
 * Returns the data as the schema parses it.
 * @throws {ValidationError} if it does not match.
 */
export function validate<T extends z.ZodType>(schema: T, data: unknown): z.output<T> {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  throw new ValidationError(
    parsed.error.issues.flatMap((issue) => explain(issue, data, namesAt(schema, issue.path))),
  );
}

/** Validates for fastify, which expects errors as values. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema }) =>
  (data) => {
    try {
      return { value: validate(schema, data) };
    } catch (error) {
      return { error: error as Error };
    }
  };

function valueAt(data: unknown, path: readonly PropertyKey[]): unknown {
  let value = data;
  for (const step of path) value = (value as Record<PropertyKey, unknown> | null | undefined)?.[step];
  return value;
}

/** Returns the names of an object's members at a path of a schema. */
function namesAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) {
    return namesAt(schema.unwrap(), path);
  }
  if (schema instanceof z.ZodUnion) return namesAt(schema.options.at(-1)!, path);
  const [step, ...rest] = path;
  if (schema instanceof z.ZodObject) {
    if (step === undefined) return Object.keys(schema.shape);
    const member = schema.shape[String(step)];
    return member === undefined ? [] : namesAt(member, rest);
  }
  return schema instanceof z.ZodArray && step !== undefined ? namesAt(schema.element, rest) : [];
}

/** @param names the known members */
function explain(issue: z.core.$ZodIssue, data: unknown, names: readonly string[]): Issue[] {
  const { path } = issue;
  const value = valueAt(data, path);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.slice(0, maxUnknown).map((key) => ({
        path: [...path, key],
        detail: `is unknown; ${choice(key, names, "there are")}`,
      }));
    case "invalid_union": {
      // The parameter may be given several times: the data is a list of values, or one value.
      const branch = issue.errors[Array.isArray(value) ? 0 : issue.errors.length - 1]!;
      return branch.flatMap((each) =>
        explain({ ...each, path: [...path, ...each.path] } as z.core.$ZodIssue, data, names),
      );
    }
    case "invalid_value":
      return [{ path, detail: `is not a known value; ${choice(value, issue.values.map(String), "use")}` }];
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
    return limit === 1 && word === "at least"
      ? "must not be empty"
      : `must have ${word} ${plural(limit, "character")}`;
  }
  if (origin === "array") return `must have ${word} ${plural(limit, "value")}`;
  return `must be ${word} ${limit}`;
}

function ofKind(expected: string, value: unknown): string {
  if (value === undefined || value === null) return "is missing";
  if (Array.isArray(value) && expected !== "object" && expected !== "record") return "must be given once";
  return `must be ${kinds[expected] ?? expected}`;
}
