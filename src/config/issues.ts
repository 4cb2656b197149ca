/** Explains the schema's issues to people: what a key must be, and what it is. */
import type { z } from "zod";
import { nearest } from "../base/nearest.ts";
import { type Key, keyAt, nodeAt } from "./keys.ts";
import type { Problem } from "./problem.ts";
import { formatNumber } from "./text.ts";
import { unknownKey } from "./unknown.ts";

type Issue = z.core.$ZodIssue;

function valueAt(tree: unknown, path: readonly PropertyKey[]): unknown {
  let value = tree;
  for (const part of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[part];
  return value;
}

function shown(key: Key | undefined, value: unknown): string {
  if (key?.secret || value === undefined) return "";
  // JSON has no infinite numbers, which a number that is too large for a double is read as.
  const text = typeof value === "number" ? String(value) : JSON.stringify(value);
  return `, is ${text.length > 80 ? `${text.slice(0, 80)}…` : text}`;
}

/** Explains a bound of a number, or of a list's length. */
function bound(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig, key: Key | undefined): string {
  const [word, limit] =
    issue.code === "too_small"
      ? [issue.inclusive ? "at least" : "more than", Number(issue.minimum)]
      : [issue.inclusive ? "at most" : "less than", Number(issue.maximum)];
  if (issue.origin === "array") return `must have ${word} ${limit} elements`;
  if (issue.origin === "string") return "must not be empty";
  return `must be ${word} ${key ? formatNumber(key, limit) : limit}`;
}

/** Leaves out that a number is beyond a bound if it is beyond a narrower bound as well, which the schema checks later. */
export function narrowest(issues: readonly Issue[]): Issue[] {
  const isBound = (issue: Issue) =>
    (issue.code === "too_small" || issue.code === "too_big") && ["number", "int"].includes(issue.origin);
  const last = new Map(issues.filter(isBound).map((issue) => [issue.path.join("."), issue]));
  return issues.filter((issue) => !isBound(issue) || last.get(issue.path.join(".")) === issue);
}

/** The problems that an issue with `tree` stands for. Values of secret keys are not shown. */
export function explain(issue: Issue, tree: unknown): Problem[] {
  const section = nodeAt(issue.path);
  if (issue.code === "unrecognized_keys" && section?.kind === "section") {
    return issue.keys.map((part) => ({
      key: [...issue.path, part].join("."),
      message: unknownKey(part, section),
    }));
  }
  return [{ key: issue.path.join("."), message: messageOf(issue, tree) }];
}

/** What is wrong with the value at `issue.path` of `tree`. */
function messageOf(issue: Issue, tree: unknown): string {
  const key = keyAt(issue.path);
  const value = valueAt(tree, issue.path);
  const inside = key !== undefined && issue.path.length > key.path.length;
  switch (issue.code) {
    case "custom":
      return issue.message;
    case "too_small":
    case "too_big":
      return `${bound(issue, key)}${issue.origin === "number" ? shown(key, value) : ""}`;
    case "invalid_key":
      return "is no header name: letters, digits and !#$%&'*+-.^_`|~ alone may stand in one";
    case "invalid_value": {
      const guess = typeof value === "string" ? nearest(value, key?.choices ?? []) : undefined;
      return `must be ${key?.expected ?? issue.values.join(", ")}${shown(key, value)}${guess ? `; did you mean ${guess}?` : ""}`;
    }
    default: {
      if (value === undefined || value === null) return "is missing; set it";
      const expected = inside ? "text" : (key?.expected ?? "a section");
      const quote = expected === "text" && typeof value !== "object" ? "; put it in quotes" : "";
      return `must be ${expected}${shown(key, value)}${quote}`;
    }
  }
}
