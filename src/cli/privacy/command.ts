import { detectors } from "../../base/detectors.ts";
import { plural } from "../../base/plural.ts";
import { type PrivacyConfig, places } from "../../config/schema/privacy.ts";
import { configuredHashKey } from "../../engine/index.ts";
import { type EnginePrivacy, native } from "../../native.ts";
import { actionOf, enginePrivacy } from "../../privacy/policy.ts";
import { FileSource, withFile } from "../recording/file.ts";
import { type Format, formatOf, formatRows, readInputs, unpackAs } from "../recording/format.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io } from "../shared/io.ts";
import { loadWhole } from "../shared/load-whole.ts";
import { readOptions } from "../shared/options.ts";
import { callAction } from "../shared/subcommand.ts";

export const help = helpText({
  usage: ["privacy test [OPTION]... FILE"],
  about: `
Looks for personal and secret values in a recorded file, and prints how many each detector finds, what the policy of the
configuration does to them at each place, and examples in which they are masked. Nothing is judged, stored or sent.

FILE may be - for standard input, and may be compressed with gzip.`,
  lists: [["Formats", formatRows]],
  options: [
    [
      "--format FORMAT",
      "the format of the file; by default by its name: .log and .txt are lines, .csv and .otlp",
    ],
    [
      "--signal SIGNAL",
      "logs, traces or metrics, for the format otlp; by default that of a name such as logs.otlp",
    ],
    ["--tenant NAME", "the tenant whose rules apply (default)"],
  ],
  exit: ["The whole file was read.", "The file cannot be read."],
});

/** What was found in a file. */
class Found {
  records = 0;
  readonly #counts = new Map<string, number>();
  /** The examples of each detector, by the name of their attribute. */
  readonly #examples = new Map<string, Map<string, string>>();

  add({ records, counts, examples }: ReturnType<typeof native.redact>): void {
    this.records += records;
    for (const [detector, count] of Object.entries(counts.forwarded ?? {})) {
      this.#counts.set(detector, (this.#counts.get(detector) ?? 0) + count);
    }
    for (const { detector, attribute, text } of examples) {
      const own = this.#examples.get(detector) ?? new Map<string, string>();
      this.#examples.set(detector, own);
      if (own.size < mostExamples && !own.has(attribute)) own.set(attribute, text);
    }
  }

  /** Returns the table, and below each detector its examples. */
  format(config: PrivacyConfig): string {
    const names = [...detectors, ...config.detectors.map(({ name }) => name)];
    const found = names.filter((name) => this.#counts.has(name));
    const lines = [
      row("detector", "values", places),
      ...found.flatMap((each) => this.#detector(each, config)),
    ];
    const total =
      found.length === 0 ? "no personal or secret values were found" : plural(found.length, "detector");
    return `${plural(this.records, "record")}: ${total}\n${found.length === 0 ? "" : `\n${lines.join("\n")}\n`}`;
  }

  #detector(detector: string, config: PrivacyConfig): string[] {
    const actions = places.map((place) => actionOf(config, place, detector));
    const examples = [...(this.#examples.get(detector) ?? [])].map(
      ([attribute, text]) => `    ${attribute === "" ? "text" : attribute}: ${text.replaceAll("\n", " ")}`,
    );
    return [row(detector, String(this.#counts.get(detector)), actions), ...examples];
  }
}

/** The most examples of a detector. */
const mostExamples = 4;

function row(name: string, values: string, cells: readonly string[]): string {
  return [name.padEnd(16), values.padStart(8), ...cells.map((cell) => cell.padEnd(9))].join("  ").trimEnd();
}

async function test(args: string[], io: Io): Promise<number> {
  const options = readOptions(args, {
    values: ["format", "signal", "tenant"],
    positionals: ["FILE"],
  });
  const { values, positionals } = options;
  const file = positionals[0]!;
  const format: Format = formatOf(values, file);
  const { config } = await loadWhole(options, io.env);
  // Every value is looked for and masked, whatever the policy does to it.
  const policy: EnginePrivacy = {
    ...enginePrivacy(config.privacy, configuredHashKey(config.detect)),
    rules: [],
    forwarded: "mask",
  };
  const found = new Found();
  const maxSize = config.receive.limits.max_request_size;
  await withFile(file, { command: "privacy", report: false }, io, async (input, onProgress) => {
    const source = new FileSource(file, format);
    const unpacked = await unpackAs(format, input, source.name);
    for await (const { signal, body } of readInputs(format, unpacked, source, maxSize)) {
      found.add(native.redact(policy, "forwarded", signal, values.get("tenant") ?? "default", body));
      onProgress(found.records);
    }
  });
  io.out(found.format(config.privacy));
  return exit.ok;
}

export async function run(args: string[], io: Io): Promise<number> {
  return callAction("privacy", { test }, args, io);
}
