/** All keys of the configuration. Its file, environment variables, flags and reference are read off this schema. */
import { z } from "zod";
import { auth, limits } from "./schema/access.ts";
import { billing } from "./schema/billing.ts";
import { detect } from "./schema/detect.ts";
import { evidence } from "./schema/evidence.ts";
import { forward } from "./schema/forward.ts";
import { incidents } from "./schema/incidents.ts";
import { kafka } from "./schema/kafka.ts";
import { llm } from "./schema/llm.ts";
import { notify } from "./schema/notify.ts";
import { privacy } from "./schema/privacy.ts";
import { receive } from "./schema/receive.ts";
import { maxConfiguredSilences, silence } from "./schema/silence.ts";
import {
  bytes,
  count,
  duration,
  type KeyMeta,
  listen,
  path,
  section,
  serverUrl,
  url,
} from "./schema/values.ts";

/**
 * The schema of a configuration, for programs that compose it with others. `parseConfig` applies it and reports each problem by its
 * key.
 */
export const configSchema = z.strictObject({
  receive: receive.describe("Where and how Driftlock receives OTLP."),
  detect: detect.describe("How streams are judged."),
  forward: forward.describe("Where and how requests are forwarded."),
  store: section({
    url: serverUrl(/^postgres(ql)?$/, true)
      .meta({
        expected: "a URL such as postgres://user@127.0.0.1/driftlock",
        secret: true,
      } satisfies KeyMeta)
      .optional()
      .describe("A PostgreSQL database. Without it, the store is an SQLite file in `data_dir`."),
    retention: section({
      max_age: duration
        .pipe(z.number().positive())
        .default(7_776_000_000)
        .describe(
          "How long an anomaly is kept after it was last reported or triaged. If the machine's clock has jumped, or was more than a day away from the last confirmed time at the start, nothing is deleted by age for six hours.",
        ),
      max_size: bytes
        .default(2 ** 30)
        .describe(
          "The approximate size of a tenant's anomalies with their indexes. Beyond it, the oldest anomalies are deleted.",
        ),
    }).describe(
      "What is kept of each tenant. Anomalies that an evidence bundle refers to are kept as long as the bundle and do not count towards the size.",
    ),
  }).describe("The store of anomalies, stream statistics, API keys and audit logs."),
  kafka: kafka.describe(
    "Several processes on one log: Kafka carries the data, the state and the order between them.",
  ),
  silences: z
    .array(silence)
    .max(maxConfiguredSilences)
    .default([])
    .meta({
      expected:
        "a list of silences such as [{match: {service: shop}, ends_at: 2026-01-31T14:00:00Z, reason: load test, author: ann}]",
    } satisfies KeyMeta)
    .describe(
      "Silences: of which anomalies nobody is notified, until when, why, and who asked for it. An anomaly must match all that `match` names: `signal`, patterns of the `tenant`, the `service` and the `stream`, and `channels`. `starts_at` is when the process starts by default. A silence that has ended has no effect. Silences that the API has created come before these.",
    ),
  privacy: privacy.describe(
    "What happens to personal and secret values, such as e-mail addresses, payment cards and API keys. By default, what is judged and forwarded stays as it is, and everything that Driftlock keeps and shows is masked.",
  ),
  llm: llm.describe("Calls of language models: what is read of them, and what is kept."),
  incidents: incidents.describe("How incidents are formed from what is flagged."),
  notify: notify.describe(
    "Notifications of people and their tools. Secrets are named by their place: `{file: PATH}` or `{env: NAME}`.",
  ),
  evidence: evidence.describe("Bundles of evidence, and reports to authorities."),
  auth: auth.describe("Who may send and read."),
  limits,
  billing,
  api: section({
    enabled: z
      .boolean()
      .default(true)
      .describe("If true, the API is served, including health, readiness and metrics."),
    endpoint: listen
      .default("127.0.0.1:8080")
      .describe("The address to listen at. Port 0 picks any free port."),
    cors_origins: z
      .array(
        z
          .url({ protocol: /^https?$/ })
          .refine(
            (text) => new URL(text).origin === text,
            "must be an origin such as https://ops.example.com",
          ),
      )
      .default([])
      .describe("Origins, besides the API's own, whose pages may use the API in a browser."),
  }).describe("The HTTP API."),
  health: section({
    endpoint: listen
      .optional()
      .describe(
        "The address of a listener that serves only `/healthz`, `/readyz` and `/metrics`, in addition to the API. A thread of its own answers there, even while the event loop is busy. Processes with roles that have no API have metrics there alone.",
      ),
    engine_stuck_after: duration
      .default(60_000)
      .describe(
        "The time for which the engine may hold requests without answering any before `/healthz` fails. At `health.endpoint` it also applies to the event loop. 0 disables the check.",
      ),
  }).describe("Probes for orchestrators."),
  telemetry: section({
    service_name: z
      .string()
      .min(1)
      .default("driftlock")
      .describe("The service name in Driftlock's own logs and traces."),
    environment: z
      .string()
      .min(1)
      .default("dev")
      .describe("The deployment environment in Driftlock's own logs and traces."),
    log_level: z
      .enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"])
      .default("info")
      .describe("The lowest level of log messages that are written."),
    traces_endpoint: url
      .optional()
      .describe(
        "The OTLP/gRPC endpoint for Driftlock's own traces. If it is not set, no traces are created.",
      ),
    stream_metrics: count
      .max(10_000)
      .optional()
      .describe(
        "The number of streams that have metrics of their own on `/metrics`, for alerting: score, limit, open anomalies and expected range. Streams with an open anomaly go first. None by default.",
      ),
  }).describe("Driftlock's own logs, traces and metrics."),
  shutdown_timeout: duration
    .default(20_000)
    .describe(
      "The time from SIGTERM to the end of the process. Half of it is for delivering pending requests; requests that are left then are abandoned and reported. The rest, but at least one second, is for saving what streams have learned.",
    ),
  data_dir: path
    .default("./driftlock-data")
    .describe(
      "The directory of the streams' state, the key of the engine's hashes, the store's file, the queue on disk, dead letters, and the log of `--view`.",
    ),
});

/** A whole configuration, with a value for each key that has a default. docs/reference/configuration.md describes the keys. */
export type Config = z.output<typeof configSchema>;
export type ReceiveConfig = Config["receive"];
/** The section `detect` of a configuration: the settings of the engine. */
export type DetectConfig = Config["detect"];
export type ForwardConfig = Config["forward"];
export type StoreConfig = Config["store"];
export type EvidenceConfig = Config["evidence"];
export type NotifyConfig = Config["notify"];
export type KafkaConfig = Config["kafka"];
export type AuthConfig = Config["auth"];
export type LimitsConfig = Config["limits"];
/** The limits of one tenant. */
export type TenantLimits = Omit<LimitsConfig, "store" | "streams">;
export type BillingConfig = Config["billing"];
export type ServerTls = NonNullable<ReceiveConfig["grpc"]["tls"]>;
export type ClientTls = NonNullable<ForwardConfig["tls"]>;
