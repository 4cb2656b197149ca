/**
 * Output that must stay the same to the last byte, kept small: the hash of all lines, a short hash of each line, and the
 * lines that are worth reading in full. `make golden` writes the files anew.
 */
import { hash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const renew = process.env.GOLDEN === "renew";

/** The number of hexadecimal digits of a line's short hash, and of hashes in one row. */
const [digits, perRow] = [4, 25];

interface Golden {
  sha256: string;
  short: string[];
  /** Lines shown in full, by their index. */
  shown: Map<number, string>;
}

const shortHash = (line: string) => hash("sha256", line, "hex").slice(0, digits);

function read(file: string): Golden {
  const [head = "", ...rest] = readFileSync(file, "utf8").split("\n");
  const blank = rest.indexOf("");
  const shown = rest.slice(blank + 1, -1).map((row): [number, string] => {
    const space = row.indexOf(" ");
    return [Number(row.slice(0, space)), row.slice(space + 1)];
  });
  const short = rest.slice(0, blank).flatMap((row) => row.split(" "));
  return { sha256: head.replace(/.* /, ""), short, shown: new Map(shown) };
}

function write(
  file: string,
  lines: readonly string[],
  shows: (line: string, index: number) => boolean,
): void {
  const hashes = lines.map(shortHash);
  const rows = Array.from({ length: Math.ceil(hashes.length / perRow) }, (_, i) =>
    hashes.slice(i * perRow, (i + 1) * perRow).join(" "),
  );
  const shown = lines.flatMap((line, i) => (shows(line, i) ? [`${i} ${line}`] : []));
  const head = `${lines.length} lines, sha256 ${hash("sha256", lines.join("\n"), "hex")}`;
  writeFileSync(file, `${[head, ...rows, "", ...shown].join("\n")}\n`);
}

/**
 * Compares lines with those of the golden file `name`.
 * @param shows which lines the file holds in full. The first of an output that differs is named in any case.
 * @throws {Error} that shows the first line that differs.
 */
export function expectGolden(
  name: string,
  lines: readonly string[],
  shows: (line: string, index: number) => boolean,
): void {
  const file = fileURLToPath(new URL(`expected/${name}.txt`, import.meta.url));
  if (renew) write(file, lines, shows);
  if (!existsSync(file)) throw new Error(`${name}: there is no golden file yet; \`make golden\` writes it`);
  const { sha256, short, shown } = read(file);
  const length = Math.max(lines.length, short.length);
  const first = Array.from({ length }, (_, i) => i).find((i) => {
    const line = lines[i];
    return line === undefined || shortHash(line) !== short[i] || (shown.get(i) ?? line) !== line;
  });
  if (first === undefined) {
    if (hash("sha256", lines.join("\n"), "hex") === sha256) return;
    throw new Error(`${name}: differs from the golden file in a line whose short hash is the same`);
  }
  const before =
    shown.get(first) ?? (first < short.length ? `a line of the short hash ${short[first]}` : "no line");
  throw new Error(
    [
      `${name}: line ${first} differs from the golden file (${lines.length} lines, ${short.length} before)`,
      `  before: ${before}`,
      `  now:    ${lines[first] ?? "no line"}`,
      "If the change is intended, say so in the commit and run `make golden`.",
    ].join("\n"),
  );
}
