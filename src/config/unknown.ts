import { nearest } from "../base/nearest.ts";
import { keys, type Section } from "./keys.ts";

/** What to say of a key that `section` does not have. */
export function unknownKey(part: string, section: Section): string {
  const sibling = nearest(part, section.children.keys());
  if (sibling !== undefined)
    return `unknown key; did you mean ${section.name ? `${section.name}.` : ""}${sibling}?`;
  const elsewhere = keys.filter((key) => key.path.at(-1) === part);
  if (elsewhere.length === 1) return `unknown key; did you mean ${elsewhere[0]!.name}?`;
  return `unknown key; ${section.name || "the top"} has ${[...section.children.keys()].join(", ")}`;
}

/** What to say of a name that is none of `known`. */
export function unknownName(what: string, name: string, known: Iterable<string>): string {
  const found = nearest(name, known);
  return `unknown ${what}${found ? `; did you mean ${found}?` : "; `driftlock validate --print` lists all keys"}`;
}
