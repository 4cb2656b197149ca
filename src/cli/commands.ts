/** The commands. Each is loaded when it is called, so that the small ones start at once. */
import { printable } from "../base/printable.ts";
import { ConfigError } from "../config/problem.ts";
import { exit, type Io, UsageError } from "./shared/io.ts";
import { namedCommand } from "./shared/subcommand.ts";

interface Command {
  /** What `--help` prints. */
  help: string;
  /** Resolves to the exit code. @throws {UsageError} if the arguments are wrong. */
  run(args: string[], io: Io): Promise<number>;
}

export const commands: Readonly<Record<string, { summary: string; load(): Promise<Command> }>> = {
  run: {
    summary: "receive, judge and forward OTLP data until stopped",
    load: () => import("./run/command.ts"),
  },
  validate: {
    summary: "check the configuration, or print it",
    load: () => import("./validate/command.ts"),
  },
  replay: {
    summary: "judge a recorded file and print one JSON line per record",
    load: () => import("./replay/command.ts"),
  },
  learn: {
    summary: "learn from recorded files, so that a run starts trained; export and import what was learned",
    load: () => import("./learn/command.ts"),
  },
  generate: {
    summary: "send synthetic OTLP data with known anomalies",
    load: () => import("./generate/command.ts"),
  },
  incidents: {
    summary: "list, show and follow the incidents of a running Driftlock",
    load: () => import("./incidents/command.ts"),
  },
  anomalies: {
    summary: "list, show and follow the anomalies of a running Driftlock",
    load: () => import("./anomalies/command.ts"),
  },
  notable: {
    summary: "list what came closest to being an anomaly in a running Driftlock",
    load: () => import("./notable/command.ts"),
  },
  explain: {
    summary: "explain an anomaly or an incident in words and numbers",
    load: () => import("./explain/command.ts"),
  },
  mcp: {
    summary: "let programs that speak the Model Context Protocol read from a running Driftlock",
    load: () => import("./mcp/command.ts"),
  },
  evidence: {
    summary: "make, list and fetch signed bundles of evidence in a running Driftlock",
    load: () => import("./evidence/command.ts"),
  },
  verify: {
    summary: "verify a bundle of evidence offline, and compute its verdicts again",
    load: () => import("./verify/command.ts"),
  },
  privacy: {
    summary: "look for personal and secret values in a recorded file, before a policy is switched on",
    load: () => import("./privacy/command.ts"),
  },
  notify: {
    summary: "test the channels of notifications",
    load: () => import("./notify/command.ts"),
  },
  keys: {
    summary: "create, list, rotate and revoke API keys; manage the keys that sign evidence",
    load: () => import("./keys/command.ts"),
  },
  audit: {
    summary: "list the audit log, verify it, and print checkpoints of it",
    load: () => import("./audit/command.ts"),
  },
  usage: {
    summary: "show what tenants have sent per day, and what of it was reported for payment",
    load: () => import("./usage/command.ts"),
  },
  db: {
    summary: "show, apply and undo migrations of the store",
    load: () => import("./db/command.ts"),
  },
  kafka: {
    summary: "create and check the topics of an installation of several processes",
    load: () => import("./kafka/command.ts"),
  },
  version: {
    summary: "print the versions of Driftlock, Node.js and the codecs",
    load: () => import("./version/command.ts"),
  },
  help: {
    summary: "print this list, or the help of a command",
    load: async () => ({ help: usage(), run: help }),
  },
};

function usage(): string {
  const lines = Object.entries(commands);
  const width = Math.max(...lines.map(([name]) => name.length));
  return [
    "Usage: driftlock COMMAND [OPTION]...",
    "",
    "Finds anomalies in OpenTelemetry data by compression, and explains each of them.",
    "",
    ...lines.map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "`driftlock COMMAND --help` prints the options of a command.",
    "",
    "Exit codes: 0 if the command succeeded, 1 if it failed, 2 if it was called wrongly.",
    "",
  ].join("\n");
}

/** `help COMMAND` and `COMMAND --help` are the same. */
async function help([name, ...rest]: string[], io: Io): Promise<number> {
  if (name !== undefined) return call(name, [...rest, "--help"], io);
  io.out(usage());
  return exit.ok;
}

function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end < 0 ? undefined : end).some((arg) => arg === "--help" || arg === "-h");
}

async function call(name: string, args: string[], io: Io): Promise<number> {
  const command = await namedCommand(name, commands).load();
  if (!asksForHelp(args)) return command.run(args, io);
  io.out(command.help);
  return exit.ok;
}

/**
 * Runs the command that `args` name and resolves to its exit code. An error becomes one message on `io.err`. Nothing that
 * is written can control the terminal: texts may contain what senders wrote, names of files, or responses of other servers.
 */
export async function dispatch(args: string[], unsafe: Io): Promise<number> {
  const io: Io = {
    ...unsafe,
    out: (text) => unsafe.out(printable(text)),
    err: (text) => unsafe.err(printable(text)),
  };
  const [first, ...rest] = args;
  try {
    switch (first) {
      case undefined:
        io.err(usage());
        return exit.usage;
      case "--help":
      case "-h":
        return await help(rest, io);
      case "--version":
        return await call("version", rest, io);
      default:
        return await call(first, rest, io);
    }
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof UsageError) {
      const command = Object.hasOwn(commands, first!) ? `${first} ` : "";
      io.err(`driftlock: ${message}\nRun \`driftlock ${command}--help\` for usage.\n`);
      return exit.usage;
    }
    io.err(error instanceof ConfigError ? `${message}\n` : `driftlock: ${message}\n`);
    return exit.failure;
  }
}
