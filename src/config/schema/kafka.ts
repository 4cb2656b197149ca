import { z } from "zod";
import { count, duration, type KeyMeta, path, section } from "./values.ts";

const broker = z.string().regex(/^(\[[0-9a-fA-F:.]+\]|[\w.-]+):([1-9]\d{0,4})$/, {
  message: "must be an address such as 10.0.0.1:9092",
});

const tls = z
  .strictObject({
    ca_file: path
      .optional()
      .describe(
        "The authority that signed the brokers' certificates, as a PEM file. The system's authorities by default.",
      ),
    cert_file: path
      .optional()
      .describe("Driftlock's own certificate (mTLS), as a PEM file. Requires `kafka.tls.key_file`."),
    key_file: path.optional().describe("The private key of Driftlock's own certificate, as a PEM file."),
    insecure_skip_verify: z
      .boolean()
      .default(false)
      .describe("If true, the brokers' certificates are not verified."),
  })
  .refine(
    (files) => !files.cert_file === !files.key_file,
    "must have both cert_file and key_file, or neither",
  )
  .optional()
  .describe(
    "Enables TLS. The section may be left out; if it is present, even empty, connections use TLS, and certificates are verified against the system's authorities.",
  );

const sasl = z
  .strictObject({
    mechanism: z
      .enum(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"])
      .describe("The mechanism by which Driftlock authenticates."),
    username: z.string().min(1).optional().describe("The name of the user, except with `OAUTHBEARER`."),
    password: z
      .string()
      .min(1)
      .meta({ secret: true } satisfies KeyMeta)
      .optional()
      .describe("The password of the user, except with `OAUTHBEARER`."),
    token_file: path
      .optional()
      .describe(
        "A file with the access token for `OAUTHBEARER`. It is read again for each connection, so that whoever renews the token replaces the file.",
      ),
  })
  .refine(
    ({ mechanism, username, password, token_file }) =>
      mechanism === "OAUTHBEARER"
        ? token_file !== undefined && username === undefined && password === undefined
        : token_file === undefined && username !== undefined && password !== undefined,
    "must have username and password, or token_file alone with mechanism OAUTHBEARER",
  )
  .optional()
  .describe(
    "Authenticates Driftlock. The section may be left out; if it is present, `mechanism` is required.",
  );

export const kafka = section({
  brokers: z
    .array(broker)
    .max(64)
    .default([])
    .meta({ expected: "a list of addresses such as [10.0.0.1:9092]" } satisfies KeyMeta)
    .describe(
      "Addresses of brokers as host:port, of which one must answer at the start. Without any, nothing of this section has an effect, and one process does everything.",
    ),
  topic_prefix: z
    .string()
    .regex(/^[a-zA-Z0-9._-]{0,200}$/, "must consist of letters, digits, dots, hyphens and underscores")
    .default("driftlock.")
    .describe(
      "What the names of the topics (`in`, `out`, `anomalies`, `statistics`, `state`), of the consumer groups and of the transactions begin with. Installations that share brokers need different prefixes.",
    ),
  partitions: count
    .max(1_024)
    .default(64)
    .describe(
      "The number of partitions of each topic, and so the largest number of workers. It cannot be changed later without learning again, because it decides which partition a stream belongs to.",
    ),
  replication: count
    .max(16)
    .default(3)
    .describe(
      "The number of brokers that keep each partition, which `driftlock kafka init` asks for. With 2 or more, a record counts as stored once all of them but one have it.",
    ),
  retention: duration
    .pipe(z.number().min(60_000))
    .default(86_400_000)
    .describe(
      "How long the topics `in`, `out`, `anomalies` and `statistics` keep records, which `driftlock kafka init` asks for. It bounds how long workers, forwarders or the store may be away.",
    ),
  checkpoint_interval: duration
    .pipe(z.number().min(1_000))
    .default(60_000)
    .describe(
      "How often a worker stores what the streams of a partition have learned. A worker that takes a partition over judges again, silently, what came since.",
    ),
  session_timeout: duration
    .pipe(z.number().min(1_000).max(3_600_000))
    .default(10_000)
    .describe(
      "The time after which a process that has not been heard of is taken for dead, so that others take its partitions over. The brokers' `group.min.session.timeout.ms` may require more.",
    ),
  sasl,
  tls,
});
