/** The reference of the command line, made of what the commands print as their help. */
import { commands } from "../../src/cli/commands.ts";
import { generatedFrom } from "./markdown.ts";

const { help: overview, ...others } = Object.fromEntries(
  await Promise.all(
    Object.entries(commands).map(async ([name, { load }]) => [name, (await load()).help] as const),
  ),
);

const fenced = (text: string) => `\`\`\`text\n${text}\`\`\``;

export function cliPage(): string {
  const sections = Object.entries(others).map(([name, help]) => `## ${name}\n\n${fenced(help!)}\n`);
  return `# Command-line reference

${generatedFrom("the help of each command in src/cli")}

${fenced(overview!)}

Results are written to standard output, messages to standard error. All commands read their options alike:

- An option is written \`--name value\` or \`--name=value\`. Options and arguments may stand in any order; everything behind
  \`--\` is an argument.
- An option may be given once, unless its help says that it may be given several times. An unknown option, a missing value, a
  repeated option and an unexpected argument are errors, with exit code 2.
- \`driftlock COMMAND --help\` and \`driftlock help COMMAND\` print the same.

${sections.join("\n")}`;
}
