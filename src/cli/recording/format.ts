import { basename } from "node:path";
import { type Signal, signals } from "../../otlp/protocol.ts";
import { UsageError } from "../shared/io.ts";
import { choice } from "../shared/values.ts";
import { unpack, unpackText } from "./bytes.ts";
import { readCsv, readLines, readSessions, sessionRequests } from "./formats.ts";
import type { Input, Source } from "./input.ts";
import { readRequests } from "./requests.ts";

const formats = ["otlp", "lines", "sequences", "csv"] as const;

/** The format of a recorded file. Only `otlp` may hold any of the signals. */
export type Format = { name: "otlp"; signal: Signal } | { name: Exclude<(typeof formats)[number], "otlp"> };

/** The formats as the help of a command lists them. */
export const formatRows = [
  ["lines", "one log line per line"],
  ["sequences", "one session per line: event names separated by spaces, optionally behind an ID and a comma"],
  ["csv", "timestamp,value per line, in ISO 8601 or as a time since 1970; a header line may come first"],
  ["otlp", "Export*ServiceRequests of one --signal, each behind its length in 4 bytes, big-endian"],
] as const;

/** The formats that the ends of files' names stand for, which `.gz` may follow. */
const formatByEnd = new Map([
  ["otlp", "otlp"],
  ["csv", "csv"],
  ["log", "lines"],
  ["txt", "lines"],
]);

/**
 * Returns the format that `--format` and `--signal` name.
 * @param file the path that says what the options do not: its end stands for the format, and a name such as `logs.otlp` for the signal
 * @throws {UsageError}
 */
export function formatOf(values: ReadonlyMap<string, string>, file = ""): Format {
  const [start = "", ...ends] = basename(file.replace(/\.gz$/, "")).split(".");
  const name = choice("--format", values.get("format") ?? formatByEnd.get(ends.at(-1) ?? ""), formats);
  const given = values.get("signal");
  const signal = given ?? (name === "otlp" ? signals.find((each) => each === start) : undefined);
  if (name === "otlp") return { name, signal: choice("--signal", signal, signals) };
  if (signal === undefined) return { name };
  throw new UsageError(`--signal is for --format otlp only; the format ${name} has one signal`);
}

/** Decompresses a file and converts its text to UTF-8. @throws {Error} with the remedy */
export function unpackAs({ name }: Format, packed: AsyncIterable<Buffer>, file: string) {
  return name === "otlp" ? unpack(packed, file) : unpackText(packed, file);
}

/** Reads the requests of an unpacked file. @param maxSize maximum number of bytes of a request in the format `otlp` */
export function readInputs(
  format: Format,
  input: AsyncIterable<Buffer>,
  source: Source,
  maxSize: number,
): AsyncIterable<Input> {
  switch (format.name) {
    case "otlp":
      return readRequests(input, source, format.signal, maxSize);
    case "lines":
      return readLines(input, source);
    case "sequences":
      return sessionRequests(readSessions(input, source), source);
    case "csv":
      return readCsv(input, source);
  }
}
