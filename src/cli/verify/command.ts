import { recompute } from "../../engine/index.ts";
import { packageVersion } from "../../version.ts";
import { helpText } from "../shared/help.ts";
import type { Io } from "../shared/io.ts";
import { parseOptions } from "../shared/parse-options.ts";
import { verifyFile } from "./verify-file.ts";

export const help = helpText({
  usage: ["verify FILE [--keys FILE] [--authorities FILE] [--json]"],
  about: `
Verifies a bundle of evidence, offline: its form, its signature, the digests of its content, its reports and settings, the
entries of the audit log with their proofs, its times and its time stamp. Then it computes each verdict again from its recording, forms
each incident again from its evidence, and says where a figure or a sentence differs.`,
  lists: [],
  options: [
    [
      "--keys FILE",
      "the public keys that you know to be the operator's: PEM, or what `driftlock keys signing list --json` prints",
    ],
    [
      "--authorities FILE",
      "the certificates of time-stamping authorities that you trust, and lists of revoked ones (CRLs), in PEM",
    ],
    ["--json", "print the result as JSON"],
  ],
  notes: `
Without --keys, the bundle is verified with the key that it names itself. This shows that it is whole, and not who made
it: compare the fingerprint of the key with the one that the operator has published. Without --authorities, it is checked
whether the time stamp fits the bundle, and not whose it is.`,
  exit: ["No check failed.", "A check failed, or the file cannot be read."],
});

export async function run(args: string[], io: Io): Promise<number> {
  const { positionals, switches, values } = parseOptions(args, {
    values: ["keys", "authorities"],
    switches: ["json"],
    positionals: ["FILE"],
  });
  return verifyFile(
    {
      file: positionals[0]!,
      keys: values.get("keys"),
      authorities: values.get("authorities"),
      json: switches.has("json"),
    },
    { recompute, version: packageVersion() },
    io.out,
  );
}
