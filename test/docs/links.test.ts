/** Relative links in the documentation point to files that exist, and their fragments to headings. */
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const foreign = new Set(["node_modules", "build", "deps", "dist", "coverage", "release"]);
const pages = globSync("{*,.github/**/*,{bench,docs,examples,native,src,test}/**/*}.md", {
  cwd: root,
  exclude: (path) => foreign.has(path.split("/").pop() ?? path),
});

const withoutCode = (text: string) => text.replaceAll(/^ *```.*?^ *```/gms, "").replaceAll(/`[^`\n]*`/g, "");

/** The fragments by which GitHub links to the headings of a page. */
function fragmentsOf(text: string): Set<string> {
  const seen = new Map<string, number>();
  const fragments = new Set<string>();
  for (const [, heading] of text.replaceAll(/^ *```.*?^ *```/gms, "").matchAll(/^#{1,6} +(.+?) *$/gm)) {
    const plain = heading!.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const slug = plain.replaceAll(/[^\p{L}\p{N}_\- ]/gu, "").replaceAll(" ", "-");
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    fragments.add(count === 0 ? slug : `${slug}-${count}`);
  }
  for (const [, id] of text.matchAll(/<a (?:id|name)="([^"]+)">/g)) fragments.add(id!);
  return fragments;
}

const read = (path: string) => readFileSync(path, "utf8");

/** Returns the faults in the links of a page. */
function brokenLinks(page: string): string[] {
  const path = join(root, page);
  const links = withoutCode(read(path)).matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g);
  const broken: string[] = [];
  for (const [, link] of links) {
    if (/^[a-z][a-z0-9+.-]*:/.test(link!)) continue;
    const [file, fragment] = link!.split("#") as [string, string | undefined];
    const target = file === "" ? path : join(dirname(path), file);
    if (!existsSync(target)) broken.push(`${link}: there is no ${relative(root, target)}`);
    else if (fragment === undefined) continue;
    else if (statSync(target).isDirectory() || !fragmentsOf(read(target)).has(fragment)) {
      broken.push(`${link}: ${relative(root, target)} has no heading for it`);
    }
  }
  return broken;
}

it("finds the pages", () => {
  expect(pages).toEqual(expect.arrayContaining(["README.md", "docs/ARCHITECTURE.md"]));
});

describe.each(pages.sort())("%s", (page) => {
  it("has links that resolve", () => {
    expect(brokenLinks(page)).toEqual([]);
  });
});
