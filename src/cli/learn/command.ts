import { formatRows } from "../recording/format.ts";
import { helpText } from "../shared/help.ts";
import type { Io } from "../shared/io.ts";
import { callAction } from "../shared/subcommand.ts";
import { learnFiles } from "./files.ts";
import { exportLearned, importLearned } from "./move.ts";

export const help = helpText({
  usage: [
    "learn --format FORMAT [--out FILE] [OPTION]... FILE...",
    "learn export FILE [OPTION]...",
    "learn import FILE [--replace] [OPTION]...",
  ],
  about: `
Learns from recorded files what is normal, so that \`driftlock run\` with the same configuration judges from the first record.
Without --out, what was learned goes into data_dir, where \`run\` continues from it; stop it first. With --out, it goes into a
file for \`learn import\` or \`replay --load\`. Either way it is added to what is there already.

The files are learned in the order in which they are given. A stream is the same only if its tenant, its signal and the
attributes of detect.stream_by are: recorded OTLP is best, and --service names the service of a text file.

An exported file carries the secret hash key of its instance, because streams recognise by it what they have learned, and
excerpts of the data: protect it like data_dir.`,
  lists: [
    [
      "To and from other instances",
      [
        [
          "learn export FILE",
          "write what the instance of data_dir has learned, as of its latest snapshot, with its hash key",
        ],
        [
          "learn import FILE",
          "take over what another instance or --out has written, with its hash key, into a data_dir that has learned nothing",
        ],
      ],
    ],
    ["Formats", formatRows],
  ],
  options: [
    ["--format FORMAT", "the format of the files"],
    ["--signal SIGNAL", "logs, traces or metrics, for the format otlp"],
    [
      "--service NAME",
      "the service.name of a text file's records (the name of the file without its extensions)",
    ],
    ["--tenant TENANT", "the tenant whose streams learn (default)"],
    ["--out FILE", "write what was learned into this file, not into data_dir"],
    ["--replace", "with import, drop what the instance has learned, and its hash key"],
    ["--progress", "report progress on standard error even if that is no terminal"],
  ],
  exit: ["What was learned is saved.", "A file cannot be read, written or used; nothing was changed."],
});

export function run(args: string[], io: Io): Promise<number> {
  const [first = ""] = args;
  const actions = { export: exportLearned, import: importLearned };
  return Object.hasOwn(actions, first) ? callAction("learn", actions, args, io) : learnFiles(args, io);
}
