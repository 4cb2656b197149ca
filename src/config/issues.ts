/** Explains the schema's issues to people: what a key must be, and what it is. */
import type { z } from "zod";
import { nearest } from "../base/nearest.ts";
import { plural } from "../base/plural.ts";
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
  const plain = typeof value === "number" ? String(value) : JSON.stringify(value);
  const text = plain.replaceAll(/\/\/[^/@\s"]*@/g, "//…@");
  return `, is ${text.length > 80 ? `${text.slice(0, 80)}…` : text}`;
}

/** Explains a bound of a number, or of a list's length. */
function bound(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig, key: Key | undefined): string {
  const [word, limit] =
    issue.code === "too_small"
      ? [issue.inclusive ? "at least" : "more than", Number(issue.minimum)]
      : [issue.inclusive ? "at most" : "less than", Number(issue.maximum)];
  if (issue.origin === "array") return `must have ${word} ${plural(limit, "element")}`;
  if (issue.origin === "string") {
    return issue.code === "too_small"
      ? "must not be empty"
      : `must have at most ${plural(limit, "character")}`;
  }
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
  if (section?.kind === "key" && section.type === "objects" && issue.path.length > section.path.length) {
    return explainInside(issue, valueAt(tree, issue.path)).map(({ key, message }) => ({
      key: [...issue.path, ...(key === "" ? [] : [key])].join("."),
      message,
    }));
  }
  if (issue.code === "unrecognized_keys" && section?.kind === "section") {
    return issue.keys.map((part) => ({
      key: [...issue.path, part].join("."),
      message: unknownKey(part, section),
    }));
  }
  return [{ key: issue.path.join("."), message: messageOf(issue, tree) }];
}

const typeNames: Readonly<Record<string, string>> = {
  boolean: "true or false",
  number: "a number",
  string: "text",
  array: "a list such as [a, b]",
  object: "a section",
};

/** Explains an issue with an object that is no section of the configuration, such as one of a list. `key` is beside it. */
export function explainInside(issue: Issue, value: unknown): Problem[] {
  const is = shown(undefined, value);
  const say = (message: string): Problem[] => [{ key: "", message }];
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => ({ key, message: "unknown key; remove it or correct its name" }));
    case "too_small":
    case "too_big":
      return say(bound(issue, undefined) + (issue.origin === "number" ? is : ""));
    case "invalid_value": {
      const guess = typeof value === "string" ? nearest(value, issue.values.map(String)) : undefined;
      return say(`must be one of ${issue.values.join(", ")}${is}${guess ? `; did you mean ${guess}?` : ""}`);
    }
    case "invalid_type":
      if (value === undefined || value === null) return say("is missing; set it");
      // A text in place of a section may be a secret that belongs elsewhere.
      return say(
        `must be ${typeNames[issue.expected] ?? issue.expected}${issue.expected === "object" ? "" : is}`,
      );
    case "invalid_union":
      return say(`must be a number or a percentage such as 20%${is}`);
    default:
      return say(issue.message + is);
  }
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
