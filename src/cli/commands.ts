/** The commands: each is loaded when it is called, so that the small ones start at once. */
import { nearest } from "../base/nearest.ts";
import { printable } from "../base/printable.ts";
import { ConfigError } from "../config/problem.ts";
import { exit, type Io, UsageError } from "./shared/io.ts";

interface Command {
  run(args: string[], io: Io): Promise<number>;
  /** Printed for `--help`; a command without it prints its own. */
  help?: string;
}

const commands: Readonly<Record<string, { summary: string; load(): Promise<Command> }>> = {
  run: {
    summary: "receive, judge and forward OTLP data until told to stop",
    load: () => import("./run/command.ts"),
  },
  validate: { summary: "check a configuration, or print it", load: () => import("./validate/command.ts") },
  replay: {
    summary: "judge a recorded file, one JSON line a record",
    load: async () => ({ run: (await import("./replay/command.ts")).replay }),
  },
  generate: {
    summary: "send a synthetic OTLP stream with named anomalies",
    load: async () => ({ run: (await import("./generate/command.ts")).generate }),
  },
  anomalies: {
    summary: "list, show and follow what was found",
    load: () => import("./anomalies/command.ts"),
  },
  explain: { summary: "say why an anomaly is one, for people", load: () => import("./explain/command.ts") },
  keys: { summary: "create, list and revoke API keys", load: () => import("./keys/command.ts") },
  audit: { summary: "list the audit log, and verify its chain", load: () => import("./audit/command.ts") },
  db: {
    summary: "bring the store up to date or back, or tell what it has",
    load: () => import("./db/command.ts"),
  },
  version: { summary: "print versions", load: () => import("./version/command.ts") },
};

function usage(): string {
  const lines = Object.entries({ ...commands, help: { summary: "print this, or what a command takes" } });
  const width = Math.max(...lines.map(([name]) => name.length));
  return [
    "Usage: driftlock COMMAND [OPTION]...",
    "",
    "Anomaly detection for OpenTelemetry data by compression, explainable to an auditor.",
    "",
    ...lines.map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "`driftlock COMMAND --help` says what a command takes.",
    "",
  ].join("\n");
}

function asksForHelp(args: string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end < 0 ? undefined : end).some((arg) => arg === "--help" || arg === "-h");
}

async function call(name: string, args: string[], io: Io): Promise<number> {
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) {
    const guess = nearest(name, [...Object.keys(commands), "help"]);
    const list = Object.keys(commands).join(", ");
    throw new UsageError(
      `unknown command ${name}; ${guess ? `did you mean ${guess}?` : `there are ${list}`}`,
    );
  }
  const command = await entry.load();
  if (command.help !== undefined && asksForHelp(args)) {
    io.out(command.help);
    return exit.ok;
  }
  return command.run(args, io);
}

function isUsage(error: unknown): boolean {
  return (
    error instanceof UsageError || String((error as { code?: unknown }).code).startsWith("ERR_PARSE_ARGS_")
  );
}

/**
 * Runs the command that `args` name and gives its exit code. What it throws becomes one message on `io.err`. Nothing that is
 * written can steer the terminal: texts may hold what senders wrote, names of files, or answers of others.
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
      case "help":
        if (rest[0] !== undefined) return await call(rest[0], ["--help"], io);
        io.out(usage());
        return exit.ok;
      case "--help":
      case "-h":
        io.out(usage());
        return exit.ok;
      case "--version":
        return await call("version", rest, io);
      default:
        return await call(first, rest, io);
    }
  } catch (error) {
    const { message } = error as Error;
    if (isUsage(error)) {
      io.err(`driftlock: ${message}\n`);
      return exit.usage;
    }
    io.err(error instanceof ConfigError ? `${message}\n` : `driftlock: ${message}\n`);
    return exit.failure;
  }
}
