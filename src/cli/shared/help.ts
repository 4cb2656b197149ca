/** The one form in which every command prints its help. */

const columns = 100;

type Row = readonly [term: string, text: string];

export interface Help {
  /** The ways to call the command, without the program's name. */
  usage: readonly string[];
  /** Paragraphs, which are wrapped; lines that begin with a space are kept as they are. */
  about: string;
  /** Lists in front of the options, such as the actions of the command, by their titles. */
  lists?: readonly (readonly [title: string, rows: readonly Row[]])[];
  options: readonly Row[];
  /** Whether the configuration can be given: false if the command needs none. */
  config?: boolean;
  /** Paragraphs behind the options. */
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

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && longer.length <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
