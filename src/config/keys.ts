/** The configuration's keys, which are read from the schema: one list for files, environment variables and flags. */
import type { z } from "zod";
import type { KeyMeta } from "./schema/values.ts";
import { configSchema } from "./schema.ts";

/** A key with a value: a leaf of the schema. */
export interface Key {
  kind: "key";
  /** The dotted name, such as `receive.grpc.endpoint`. */
  name: string;
  path: readonly string[];
  /** The environment variable, such as `DRIFTLOCK_RECEIVE_GRPC_ENDPOINT`. */
  env: string;
  /** Explains the key in complete sentences. */
  description: string;
  type: "text" | "number" | "boolean" | "list" | "objects" | "map";
  /** Completes "must be …". */
  expected: string;
  /** The values of an enumeration; empty for all others. */
  choices: readonly string[];
  unit: "bytes" | "ms" | undefined;
  secret: boolean;
}

/** An inner node of the schema. */
export interface Section {
  kind: "section";
  name: string;
  description: string;
  children: ReadonlyMap<string, Key | Section>;
}

type Schema = z.ZodType & { def: Record<string, unknown> };

/** Returns the schema inside of its defaults and pipes, and the metadata of all these layers. */
function unwrap(schema: Schema): { schema: Schema; meta: KeyMeta } {
  let meta: KeyMeta = {};
  for (;;) {
    meta = { ...(schema.meta() as KeyMeta | undefined), ...meta };
    const inner = schema.def.innerType ?? schema.def.in;
    if (inner === undefined) return { schema, meta };
    schema = inner as Schema;
  }
}

function describe(schema: Schema): Pick<Key, "type" | "expected" | "choices"> {
  const { type } = schema.def;
  if (type === "enum") {
    const choices = (schema as unknown as z.ZodEnum).options.map(String);
    return { type: "text", expected: `one of ${choices.join(", ")}`, choices };
  }
  const choices: string[] = [];
  if (type === "boolean") return { type: "boolean", expected: "true or false", choices };
  if (type === "array" && unwrap(schema.def.element as Schema).schema.def.type === "object") {
    return { type: "objects", expected: "a list of sections", choices };
  }
  if (type === "array") return { type: "list", expected: "a list such as [a, b]", choices };
  if (type === "record") return { type: "map", expected: "names and values", choices };
  if (type === "number") {
    const whole = (schema as unknown as z.ZodNumber).format === "safeint";
    return { type: "number", expected: whole ? "a whole number" : "a number", choices };
  }
  // These are numbers, or texts with a unit.
  if (type === "union") return { type: "number", expected: "a number", choices };
  return { type: "text", expected: "text", choices };
}

function read(schema: Schema, path: readonly string[]): Key | Section {
  const { schema: bare, meta } = unwrap(schema);
  const name = path.join(".");
  if (bare.def.type === "object") {
    const shape = (bare as unknown as z.ZodObject).shape as Record<string, Schema>;
    const children = Object.entries(shape).map(([key, child]) => [key, read(child, [...path, key])] as const);
    return { kind: "section", name, description: meta.description ?? "", children: new Map(children) };
  }
  const described = describe(bare);
  return {
    kind: "key",
    name,
    path,
    env: `DRIFTLOCK_${path.join("_").toUpperCase()}`,
    description: meta.description ?? "",
    ...described,
    expected: meta.expected ?? described.expected,
    unit: meta.unit,
    secret: meta.secret ?? false,
  };
}

function leaves(node: Key | Section): Key[] {
  return node.kind === "key" ? [node] : [...node.children.values()].flatMap(leaves);
}

export const root = read(configSchema as unknown as Schema, []) as Section;
export const keys: readonly Key[] = leaves(root);
export const keyByName: ReadonlyMap<string, Key> = new Map(keys.map((key) => [key.name, key]));
export const keyByEnv: ReadonlyMap<string, Key> = new Map(keys.map((key) => [key.env, key]));

/** The section that `path` names, or the key that it names or lies in (an element of a list, a name of a map). */
export function nodeAt(path: readonly PropertyKey[]): Key | Section | undefined {
  let node: Key | Section | undefined = root;
  for (const part of path) {
    if (node === undefined || node.kind === "key") return node;
    node = node.children.get(String(part));
  }
  return node;
}

/** The key that `path` names or lies in. */
export function keyAt(path: readonly PropertyKey[]): Key | undefined {
  const node = nodeAt(path);
  return node?.kind === "key" ? node : undefined;
}
