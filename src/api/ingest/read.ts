/** Reads the items of a body one by one, events or calls of models: an invalid item does not affect the others. */
import { parseJson } from "../../otlp/json-numbers.ts";
import { countJsonValues } from "../../otlp/json-shape.ts";
import { pointer, ValidationError } from "../validation.ts";
import { EventBatch } from "./event.ts";
import { CallBatch } from "./llm-call.ts";
import { InvalidItem, type ItemBatch } from "./values.ts";

/** What a body contains. */
export type ItemKind = "events" | "calls";

const batches: Readonly<Record<ItemKind, (receivedNanos: bigint) => ItemBatch>> = {
  events: (receivedNanos) => new EventBatch(receivedNanos),
  calls: (receivedNanos) => new CallBatch(receivedNanos),
};

interface ItemError {
  /** The index of the item in the body, or of its line, from 0. */
  index: number;
  /** The JSON pointer into the item; empty for the item itself. */
  field: string;
  detail: string;
}

export interface ReadItems {
  /** The valid items, as an Export*ServiceRequest. */
  request: Uint8Array;
  accepted: number;
  rejected: number;
  /** The first errors, up to a limit. */
  errors: ItemError[];
}

class TooManyItems extends Error {}

export const maxItems = 10_000;
const maxErrors = 100;
/** Maximum length of an error's detail, which may quote what was sent. */
const maxDetail = 300;

/** The items of a body in order: values, or the reasons why they are invalid. */
type Items = Iterable<{ value: unknown } | { fault: string }>;

/** @throws {SyntaxError} for invalid JSON, and {TypeError} for text that is not UTF-8. */
function jsonItems(text: Uint8Array): Items {
  const value = parseJson(text);
  return (Array.isArray(value) ? value : [value]).map((each) => ({ value: each as unknown }));
}

/**
 * Yields one value per line; empty lines are skipped.
 * @throws {TypeError} for text that is not UTF-8.
 */
function* ndjsonItems(text: Buffer): Generator<{ value: unknown } | { fault: string }> {
  for (const line of linesOf(text)) {
    try {
      yield { value: parseJson(line) };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      yield { fault: `is not JSON: ${error.message}` };
    }
  }
}

function isBlank(line: Buffer): boolean {
  for (let i = 0; i < line.length; i += 1) if (line[i]! > space) return false;
  return true;
}

function* linesOf(text: Buffer): Generator<Buffer> {
  for (let start = 0; start < text.length; ) {
    const found = text.indexOf(lineFeed, start);
    const end = found < 0 ? text.length : found;
    const line = text.subarray(start, end);
    start = end + 1;
    if (!isBlank(line)) yield line;
  }
}

const lineFeed = 0x0a;
/** Characters up to this one are white space, or do not occur in JSON. */
const space = 0x20;

/**
 * Returns an upper bound of the number of values and keys in all lines. Each line is counted on its own: a quote that is
 * never closed would hide what follows.
 */
export async function countLineValues(text: Buffer): Promise<number> {
  let values = 0;
  let lines = 0;
  for (const line of linesOf(text)) {
    lines += 1;
    if (lines > maxItems) break;
    // A line that is nested too deeply is rejected later, without affecting the others.
    values += await countJsonValues(line).catch(() => line.length);
  }
  return values;
}

/** @throws {TooManyItems} */
function readItems(kind: ItemKind, items: Items, receivedMs: number): ReadItems {
  const batch = batches[kind](BigInt(receivedMs) * 1_000_000n);
  const errors: ItemError[] = [];
  let index = -1;
  let rejected = 0;
  for (const item of items) {
    index += 1;
    if (index >= maxItems) throw new TooManyItems();
    const issues = "fault" in item ? [{ field: "", detail: item.fault }] : add(item.value, batch);
    if (issues.length === 0) continue;
    rejected += 1;
    for (const { field, detail } of issues.slice(0, maxErrors - errors.length)) {
      errors.push({ index, field: short(field), detail: short(detail) });
    }
  }
  return { request: batch.encode(), accepted: index + 1 - rejected, rejected, errors };
}

export type ItemFormat = "json" | "ndjson";

/** The content of a body, or the reason why it cannot be read. */
export type Reading = { items: ReadItems } | { tooMany: true } | { invalid: string };

export function readText(kind: ItemKind, format: ItemFormat, text: Buffer, receivedMs: number): Reading {
  try {
    const items = format === "json" ? jsonItems(text) : ndjsonItems(text);
    return { items: readItems(kind, items, receivedMs) };
  } catch (error) {
    if (error instanceof TooManyItems) return { tooMany: true };
    if (error instanceof SyntaxError) return { invalid: `is not JSON: ${error.message.toWellFormed()}` };
    if (error instanceof TypeError && "code" in error && error.code === "ERR_ENCODING_INVALID_ENCODED_DATA") {
      return { invalid: "is not UTF-8" };
    }
    throw error;
  }
}

/** Truncates text and makes it well-formed, which a quoted part of an item need not be. */
function short(text: string): string {
  return (text.length <= maxDetail ? text : `${text.slice(0, maxDetail)}…`).toWellFormed();
}

function add(value: unknown, batch: ItemBatch): { field: string; detail: string }[] {
  try {
    batch.add(value);
    return [];
  } catch (error) {
    if (error instanceof ValidationError) {
      return error.issues.map(({ path, detail }) => ({ field: pointer(path), detail }));
    }
    if (!(error instanceof InvalidItem)) throw error;
    return [{ field: error.field, detail: error.message }];
  }
}
