/** Results as rows of a Markdown table. */
export type Row = Record<string, string | number>;

export function table(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = [
    columns,
    ...rows.map((row) => columns.map((column) => String(row[column] ?? "").replaceAll("|", "\\|"))),
  ];
  const widths = columns.map((_, i) => Math.max(3, ...cells.map((line) => line[i]!.length)));
  const line = (texts: readonly string[]) =>
    `| ${texts.map((text, i) => text.padEnd(widths[i]!)).join(" | ")} |`;
  const [head, ...body] = cells;
  return [line(head!), `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`, ...body.map(line)].join(
    "\n",
  );
}
