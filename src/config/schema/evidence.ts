import { z } from "zod";
import { reporting } from "./reporting.ts";
import { bytes, duration, type KeyMeta, path, section, url } from "./values.ts";

export const evidence = section({
  signing: section({
    key_file: path
      .optional()
      .describe(
        "The private key with which bundles of evidence and checkpoints of the audit log are signed: Ed25519, PKCS #8 in PEM. Without this key, `key_env` and `command`, one is made in `data_dir` when it is first needed.",
      ),
    key_env: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]{0,255}$/)
      .meta({ expected: "the name of an environment variable" } satisfies KeyMeta)
      .optional()
      .describe(
        "The environment variable that holds the private key, in the same form. Line breaks may be written as `\\n`.",
      ),
    command: z
      .array(z.string().min(1).max(4_096))
      .min(1)
      .max(64)
      .meta({
        expected: "a program with its arguments, such as [/usr/local/bin/sign, --slot, evidence]",
      } satisfies KeyMeta)
      .optional()
      .describe(
        "A program that signs, such as the client of a hardware security module. It receives the bytes on standard input and prints the Ed25519 signature, as 64 bytes or in base64. `public_key_file` names its key.",
      ),
    public_key_file: path.optional().describe("The public key of `command`, in PEM."),
    timeout: duration
      .pipe(z.number().min(100).max(600_000))
      .default(30_000)
      .describe("The longest time that `command` may take. Then it is ended, and nothing is signed."),
  }).describe("The key that signs evidence. At most one of `key_file`, `key_env` and `command` may be set."),
  origin: z
    .string()
    .regex(/^[A-Za-z0-9.:/_-]{1,200}$/)
    .meta({ expected: "a name such as driftlock.example.com" } satisfies KeyMeta)
    .default("driftlock")
    .describe(
      "The name of this installation in the checkpoints of its audit logs, followed by `/` and the tenant.",
    ),
  checkpoints: section({
    file: path
      .optional()
      .describe(
        "A file to which checkpoints of the audit logs are appended. Keep it where nobody who can write to the store can write.",
      ),
    url: url.optional().describe("A URL to which checkpoints are posted as text."),
    every: duration
      .pipe(z.number().min(1_000))
      .default(3_600_000)
      .describe("The time between two checkpoints of a log that has grown."),
  }).describe(
    "Where checkpoints of the audit logs go, besides the bundles. They prove later that no entry was removed.",
  ),
  timestamps: section({
    url: url
      .optional()
      .describe(
        "The URL of a time-stamping authority (RFC 3161) that confirms when a bundle was signed. It receives the SHA-256 of the signature.",
      ),
    policy: z
      .string()
      .max(200)
      .regex(/^[0-2](\.(0|[1-9]\d*))+$/)
      .meta({ expected: "an object identifier such as 1.2.3.4.1" } satisfies KeyMeta)
      .optional()
      .describe("The policy that is asked for. Without it, the authority chooses one."),
    timeout: duration
      .pipe(z.number().min(100).max(60_000))
      .default(10_000)
      .describe(
        "The longest time that an answer may take. Then the bundle is made without a time stamp, and says so.",
      ),
  }).describe("Where bundles get a time stamp from. There is none by default."),
  recordings: section({
    max_age: duration
      .pipe(z.number().positive())
      .default(2_592_000_000)
      .describe(
        "How long it is kept. Afterwards the anomaly or the incident can no longer be computed again.",
      ),
    max_size: bytes
      .default(256 * 2 ** 20)
      .describe("The size of all that is kept of a tenant. Beyond it, the oldest is deleted."),
  }).describe(
    "What `driftlock verify` computes verdicts and incidents again from: of an anomaly the recording, which is the state of the stream before the record, and the record; of an incident what it was formed from.",
  ),
  max_size: bytes
    .default(2 ** 30)
    .describe("The size of a tenant's bundles. Beyond it, no more are made until some are deleted."),
  max_age: duration
    .pipe(z.number().min(86_400_000))
    .optional()
    .describe(
      "How long a bundle is kept, at least a day. Without it, bundles are kept until a person deletes them. Each deletion is an entry in the audit log.",
    ),
  templates: path
    .optional()
    .describe(
      "A directory of report templates in YAML or JSON. A template takes the place of a built-in one with the same id.",
    ),
  reporting: reporting.describe("What reports to authorities say about whoever reports."),
});
