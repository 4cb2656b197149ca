import { nearest } from "../base/nearest.ts";
import { type Key, keys, root, type Section } from "./keys.ts";

type Entry = Key | Section;

/** How a source of configuration writes the names of keys and sections. */
export interface Spelling {
  /** What every name begins with. */
  prefix: string;
  separator: string;
  of(path: string): string;
}

export const flagSpelling: Spelling = { prefix: "--", separator: ".", of: (name) => `--${name}` };
export const variableSpelling: Spelling = {
  prefix: "DRIFTLOCK_",
  separator: "_",
  of: (name) => `DRIFTLOCK_${name.replaceAll(".", "_").toUpperCase()}`,
};

/** The message for a key that `section` does not have. */
export function unknownKey(part: string, section: Section): string {
  const sibling = nearest(part, section.children.keys());
  if (sibling !== undefined)
    return `unknown key; did you mean ${section.name ? `${section.name}.` : ""}${sibling}?`;
  const elsewhere = withLastPart(part);
  if (elsewhere !== undefined) return `unknown key; did you mean ${elsewhere.name}?`;
  return `unknown key; ${section.name || "the top"} has ${[...section.children.keys()].join(", ")}`;
}

/** The message for a flag or variable that names no key. */
export function unknownName(what: string, name: string, spelling: Spelling): string {
  return `unknown ${what}; ${didYouMean(name, spelling) ?? "`driftlock validate --print` lists all keys"}`;
}

/** Suggests the key or section that `name` was probably meant to be; undefined if none is near. */
export function didYouMean(name: string, spelling: Spelling): string | undefined {
  const found =
    meantBy(name, root, spelling) ?? withLastPart(name.slice(spelling.prefix.length).toLowerCase());
  if (found === undefined) return undefined;
  const spelled = spelling.of(found.name);
  if (found.kind === "key") return `did you mean ${spelled}?`;
  const [first] = [...below(found)].filter(({ kind }) => kind === "key");
  const remedy = `set one of its keys, such as ${spelling.of(first!.name)}`;
  return name === spelled
    ? `it is a section; ${remedy}`
    : `did you mean ${spelled}? It is a section; ${remedy}`;
}

/** Sections that are spelled correctly are left out of the comparison: all names that share them would seem near. */
function meantBy(name: string, section: Section, spelling: Spelling): Entry | undefined {
  const { prefix, separator } = spelling;
  for (const child of section.children.values()) {
    if (child.kind === "section" && name.startsWith(spelling.of(child.name) + separator)) {
      return meantBy(name, child, spelling);
    }
  }
  const shared = section.name === "" ? prefix : spelling.of(section.name) + separator;
  const entries = new Map(
    [...below(section)].map((entry) => [spelling.of(entry.name).slice(shared.length), entry]),
  );
  return entries.get(nearest(name.slice(shared.length), entries.keys()) ?? "");
}

function* below(section: Section): Generator<Entry, void> {
  for (const child of section.children.values()) {
    yield child;
    if (child.kind === "section") yield* below(child);
  }
}

/** The only key with this last part; undefined if there are none or several. */
function withLastPart(part: string): Key | undefined {
  const found = keys.filter((key) => key.path.at(-1) === part);
  return found.length === 1 ? found[0] : undefined;
}
