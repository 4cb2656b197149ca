/** Formats the help of every command in the same way. */

const columns = 100;

type Row = readonly [term: string, text: string];

export interface Help {
  /** The ways to call the command, without the name of the program. */
  usage: readonly string[];
  /** Paragraphs, which are wrapped. A paragraph with a line that begins with a space is kept as it is. */
  about: string;
  /** Titled lists that stand in front of the options, such as the actions of the command. */
  lists?: readonly (readonly [title: string, rows: readonly Row[]])[];
  options: readonly Row[];
  /** Whether the command reads the configuration, so that it accepts its keys (true). */
  config?: boolean;
  /** Paragraphs that stand behind the options. */
  notes?: string;
  /** What the exit codes 0 and 1 mean. */
  exit: readonly [success: string, failure: string];
}

const configRows: readonly Row[] = [
  ["--config FILE", "the configuration file, in YAML"],
  ["--KEY VALUE", "any key of the configuration, such as --data_dir ./data"],
];

export function helpText({ usage, about, lists = [], options, config = true, notes, exit }: Help): string {
  const [success, failure] = exit;
  const sections = [
    usage.map((line, i) => `${i === 0 ? "Usage:" : "      "} driftlock ${line}`).join("\n"),
    paragraphs(about),
    ...lists.map(([title, rows]) => list(title, rows)),
    list("Options", [...options, ...(config ? configRows : []), ["--help", "print this help"]]),
    ...(notes === undefined ? [] : [paragraphs(notes)]),
    list("Exit codes", [
      ["0", success],
      ["1", failure],
      ["2", "The command was called wrongly."],
    ]),
  ];
  return `${sections.join("\n\n")}\n`;
}

function paragraphs(text: string): string {
  return text
    .trim()
    .split("\n\n")
    .map((paragraph) => (/^ /m.test(paragraph) ? paragraph : wrap(paragraph, columns).join("\n")))
    .join("\n\n");
}

function list(title: string, rows: readonly Row[]): string {
  const width = Math.max(...rows.map(([term]) => term.length)) + 4;
  const lines = rows.flatMap(([term, text]) =>
    wrap(text, columns - width).map((line, i) => `  ${(i === 0 ? term : "").padEnd(width - 2)}${line}`),
  );
  return [`${title}:`, ...lines].join("\n");
}

/** Breaks a text into lines between words. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && longer.length <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
