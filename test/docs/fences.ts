/** The fenced blocks of the project's Markdown pages. */
import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

export interface Fence {
  /** Page and line, such as "README.md:12". */
  place: string;
  page: string;
  language: string;
  text: string;
  /** The reason that the comment `<!-- not checked: REASON -->` above the block gives. */
  unchecked: string | undefined;
  /** Whether the comment `<!-- run -->` stands above the block. */
  run: boolean;
}

export function fencesOf(page: string, markdown: string): Fence[] {
  const lines = markdown.split("\n");
  const fences: Fence[] = [];
  for (let i = 0; i < lines.length; i++) {
    const [, indent, ticks, language] = /^(\s*)(`{3,})(\w*)/.exec(lines[i]!) ?? [];
    if (ticks === undefined) continue;
    const end = lines.findIndex((line, at) => at > i && line.trim() === ticks);
    if (end < 0) throw new Error(`${page}:${i + 1}: the fenced block does not end`);
    const text = lines.slice(i + 1, end).map((line) => line.slice(indent!.length));
    const before = lines.slice(0, i).findLast((line) => line.trim() !== "") ?? "";
    const unchecked = /^\s*<!-- not checked: (.+) -->$/.exec(before)?.[1];
    fences.push({
      place: `${page}:${i + 1}`,
      page,
      language: language!,
      text: `${text.join("\n")}\n`,
      unchecked,
      run: before.trim() === "<!-- run -->",
    });
    i = end;
  }
  return fences;
}

/** Returns the blocks of all pages in order. */
export function allFences(): Fence[] {
  const pages = globSync(["*.md", "{bench,docs,examples,native,test}/**/*.md"], { cwd: root }).sort();
  return pages.flatMap((page) => fencesOf(page, readFileSync(`${root}/${page}`, "utf8")));
}
