/** Verifies a bundle in a file, and prints what was found: what `driftlock verify` and `driftlock-verify` share. */
import { readFileSync, statSync } from "node:fs";
import { fileFault } from "../../base/file-fault.ts";
import { toJson } from "../../base/printable.ts";
import {
  type Check,
  type RecomputeOptions,
  readAuthorities,
  readKeys,
  type TrustedKey,
  verifyBundle,
} from "../../verify/index.ts";
import { wrap } from "../shared/help.ts";
import { exit, UsageError } from "../shared/io.ts";

export interface FileOptions {
  file: string;
  /** The file of keys that are trusted. */
  keys: string | undefined;
  /** The file of certificates of time-stamping authorities that are trusted, and of lists of revoked ones. */
  authorities: string | undefined;
  json: boolean;
}

/** Resolves to the exit code. */
export async function verifyFile(
  { file, keys, authorities, json }: FileOptions,
  computing: RecomputeOptions,
  out: (text: string) => void,
): Promise<number> {
  const verdict = await verifyBundle(read(file), {
    ...computing,
    ...(keys === undefined ? {} : { keys: keysIn(keys) }),
    ...(authorities === undefined ? {} : { authorities: await certificatesIn(authorities) }),
  });
  if (json) {
    out(`${toJson(verdict)}\n`);
  } else {
    const { about, checks, ok } = verdict;
    if (about !== undefined) {
      const subject = [
        ...about.subject.incidents.map((id) => `incident ${id}`),
        ...about.subject.anomalies.map((id) => `anomaly ${id}`),
      ].join(", ");
      out(
        `Evidence ${about.id} of tenant ${about.tenant} about ${subject}, made at ${about.created_at} by ${about.author}\n`,
      );
    }
    for (const check of checks) out(`${line(check)}\n`);
    out(
      ok ? "No check failed.\n" : "The bundle is NOT as it was made, or it says something that is not so.\n",
    );
  }
  return verdict.ok ? exit.ok : exit.failure;
}

/** A bundle is bounded when it is made; nothing larger is read. */
const maxBytes = 128 * 2 ** 20;
const marks = new Map<boolean | null, string>([
  [true, "ok"],
  [false, "FAILED"],
  [null, "not checked"],
]);

function read(file: string): string {
  try {
    if (statSync(file).size > maxBytes) throw new Error(`${file}: is larger than ${maxBytes} bytes`);
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    throw new Error(`${file}: ${fileFault(error as NodeJS.ErrnoException)}`);
  }
}

function keysIn(file: string): TrustedKey[] {
  const keys = readKeys(read(file));
  if (keys !== undefined) return keys;
  throw new UsageError(
    `--keys: ${file} must hold public keys in PEM, or the list of \`driftlock keys signing list --json\``,
  );
}

async function certificatesIn(file: string): Promise<string> {
  const text = read(file);
  try {
    const { certificates } = await readAuthorities(text);
    if (certificates.length === 0) throw new Error("holds no certificate in PEM");
  } catch (error) {
    throw new UsageError(`--authorities: ${file} ${(error as Error).message}`);
  }
  return text;
}

function line({ name, ok, details }: Check): string {
  const head = `${marks.get(ok)!.padEnd(11)}  ${name.padEnd(10)}  `;
  const [first = "", ...rest] = details.flatMap((text) => wrap(text, 110 - head.length));
  return [head + first, ...rest.map((text) => " ".repeat(head.length) + text)].join("\n");
}
