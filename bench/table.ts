export type Row = Record<string, string | number>;

/** Formats rows as a Markdown table with numbers aligned to the right. */
export function table(rows: readonly Row[]): string {
  const columns = Object.keys(rows[0]!);
  const cells = rows.map((row) => columns.map((column) => String(row[column])));
  const widths = columns.map((column, i) => Math.max(column.length, ...cells.map((row) => row[i]!.length)));
  const numeric = columns.map((column) => rows.every((row) => typeof row[column] === "number"));
  const line = (texts: string[]) =>
    `| ${texts.map((text, i) => (numeric[i] ? text.padStart(widths[i]!) : text.padEnd(widths[i]!))).join(" | ")} |`;
  const rule = `|${widths.map((width, i) => (numeric[i] ? `${"-".repeat(width + 1)}:` : "-".repeat(width + 2))).join("|")}|`;
  return [line(columns), rule, ...cells.map(line)].join("\n");
}

export const round = (value: number, digits = 2): number => Number(value.toFixed(digits));
