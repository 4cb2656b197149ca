/** Reads the configuration file: YAML 1.2 with `${env:NAME}`. Each value has its line and column. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { type Key, root, type Section } from "./keys.ts";
import type { Assignment, Problem } from "./problem.ts";
import { substitute } from "./substitute.ts";
import { parseText } from "./text.ts";
import { unknownKey } from "./unknown.ts";

/** Maximum number of aliases that are followed in one file: more than anyone writes, and fewer than a bomb needs. */
const maxAliases = 100;

export interface FileContent {
  /** Values by the names of their keys. */
  values: Map<string, Assignment>;
  /** Places of sections by their names. */
  sections: Map<string, string>;
  problems: Problem[];
}

/** Reads `text`, which places name `file`. A key without a value counts as not set, as in the Collector. */
export function readYaml(text: string, file: string, env: NodeJS.ProcessEnv): FileContent {
  const content: FileContent = { values: new Map(), sections: new Map(), problems: [] };
  const lines = new LineCounter();
  const place = (offset: number | undefined) => {
    const { line, col } = lines.linePos(offset ?? 0);
    return `${file}:${line}:${col}`;
  };
  const problem = (key: string, message: string, at: string) =>
    content.problems.push({ key, message, place: at });

  const doc = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  // Only the first is reported: later ones mostly follow from it.
  const [broken] = [...doc.errors, ...doc.warnings];
  if (broken !== undefined) {
    problem("", `not valid YAML: ${broken.message}`, place(broken.pos[0]));
    return content;
  }

  let aliases = 0;
  /** The node itself, behind any aliases; undefined if there is no node, or if there are too many aliases. */
  function follow(node: unknown, name: string): Node | undefined {
    let target = node as Node | null | undefined;
    while (isAlias(target)) {
      if (++aliases > maxAliases) {
        if (aliases === maxAliases + 1) {
          problem(
            name,
            `follows more than ${maxAliases} aliases; write the values out`,
            place(target.range?.[0]),
          );
        }
        return undefined;
      }
      target = target.resolve(doc);
    }
    return target ?? undefined;
  }

  function scalar(text: string, name: string, at: string, key: Key, parse: boolean): unknown {
    const result = substitute(text, env);
    for (const message of result.problems) problem(name, message, at);
    return parse && result.substituted ? parseText(key, result.text) : result.text;
  }

  function value(raw: unknown, name: string, key: Key, parts: Map<string, string>): unknown {
    const node = follow(raw, name);
    if (node === undefined) return undefined;
    const at = place(node.range?.[0]);
    parts.set(name, at);
    if (isScalar(node)) {
      return typeof node.value === "string"
        ? scalar(node.value, name, at, key, name === key.name)
        : node.value;
    }
    if (isSeq(node)) return node.items.map((item, i) => value(item, `${name}.${i}`, key, parts));
    if (!isMap(node)) return undefined;
    const map: Record<string, unknown> = Object.create(null);
    for (const pair of node.items) {
      const part = String(isScalar(pair.key) ? pair.key.value : pair.key);
      map[part] = value(pair.value, `${name}.${part}`, key, parts);
    }
    return map;
  }

  function section(raw: unknown, into: Section): void {
    const node = follow(raw, into.name);
    if (node === undefined || (isScalar(node) && node.value === null)) return;
    const at = place(node.range?.[0]);
    if (!isMap(node)) {
      const names = [...into.children.keys()].join(", ");
      problem(into.name, `must be a section with the keys ${names}`, at);
      return;
    }
    content.sections.set(into.name, at);
    for (const pair of node.items) {
      const part = String(isScalar(pair.key) ? pair.key.value : pair.key);
      const name = into.name ? `${into.name}.${part}` : part;
      const child = into.children.get(part);
      if (child === undefined) {
        problem(name, unknownKey(part, into), place((pair.key as Node | null)?.range?.[0]));
      } else if (child.kind === "section") {
        section(pair.value, child);
      } else {
        const parts = new Map<string, string>();
        const before = content.problems.length;
        const result = value(pair.value, name, child, parts);
        if (result === undefined || result === null || content.problems.length > before) continue;
        content.values.set(name, { value: result, place: parts.get(name)!, parts });
      }
    }
  }

  section(doc.contents, root);
  return content;
}
