/**
 * The file of a bundle: a JSON object with one member per line, each of them canonical JSON. The content is therefore one
 * line of the file, and whoever has no JSON tools can cut it out and hash it.
 */
import type { Bundle } from "./bundle.ts";

const members = ["format", "content", "envelope", "timestamp"] as const satisfies readonly (keyof Bundle)[];

/** The members of a bundle as the canonical JSON that stands in its file. */
export type BundleLines = Readonly<Record<(typeof members)[number], string>>;

export function writeLines(lines: BundleLines): string {
  return `{\n${members.map((name) => `"${name}":${lines[name]}`).join(",\n")}\n}\n`;
}

/**
 * Returns the members of a bundle's file as they stand in it.
 * @throws {Error} that names the line if the file has another layout.
 */
export function readLines(text: string): BundleLines {
  const lines = text.split("\n");
  const found = members.map((name, i) => {
    const line = lines[i + 1] ?? "";
    const [head, end] = [`"${name}":`, i + 1 < members.length ? "," : ""];
    if (!line.startsWith(head) || !line.endsWith(end)) {
      throw new Error(`line ${i + 2} must be the member ${name}`);
    }
    return [name, line.slice(head.length, line.length - end.length)] as const;
  });
  const read = Object.fromEntries(found) as BundleLines;
  if (writeLines(read) !== text)
    throw new Error("the file must be an object with one member per line, and end there");
  return read;
}
