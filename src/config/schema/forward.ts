import { z } from "zod";
import { bytes, count, duration, type KeyMeta, path, section, url } from "./values.ts";

const tls = z
  .strictObject({
    ca_file: path
      .optional()
      .describe(
        "The authority that signed the downstream's certificate, as a PEM file. The system's authorities by default.",
      ),
    cert_file: path
      .optional()
      .describe("Driftlock's own certificate (mTLS), as a PEM file. Requires `forward.tls.key_file`."),
    key_file: path.optional().describe("The private key of Driftlock's own certificate, as a PEM file."),
    server_name_override: z
      .string()
      .min(1)
      .optional()
      .describe("The name that the downstream's certificate must have, if it is not the endpoint's host."),
    insecure_skip_verify: z
      .boolean()
      .default(false)
      .describe("If true, the downstream's certificate is not verified."),
    reload_interval: duration
      .default(10_000)
      .describe("How often the files are checked for changes. 0 disables reloading."),
  })
  .refine(
    (files) => !files.cert_file === !files.key_file,
    "must have both cert_file and key_file, or neither",
  )
  .optional()
  .describe(
    "TLS settings for `https://` endpoints. The section may be left out or empty: certificates are then verified against the system's authorities.",
  );

export const forward = section({
  endpoint: url
    .default("http://127.0.0.1:14317")
    .describe(
      "The downstream OTLP endpoint, `http(s)://host:port`. With `forward.protocol: http` it may have a path, to which `/v1/logs` and so on are appended.",
    ),
  failover_endpoints: z
    .array(
      z.string().superRefine((text, context) => {
        const [issue] = url.safeParse(text).error?.issues ?? [];
        if (issue === undefined) return;
        const message =
          issue.code === "custom" ? issue.message : "must be a URL such as http://127.0.0.1:14317";
        context.addIssue({ code: "custom", message });
      }),
    )
    .max(8)
    .default([])
    .describe(
      "Further endpoints of the same kind. They are tried in this order if the preceding ones do not respond.",
    ),
  protocol: z
    .enum(["grpc", "http"])
    .default("grpc")
    .describe("The protocol of the downstream: OTLP/gRPC or OTLP/HTTP."),
  mode: z
    .enum(["all", "flagged"])
    .default("all")
    .describe(
      "`all` forwards every record, for use in line. `flagged` forwards only flagged records, for use as a tap beside a pipeline that already has the data.",
    ),
  anomaly_events: z
    .boolean()
    .default(true)
    .describe(
      "If true, anomalies that are about no single record, such as bursts, silences and shifts of many spans, are sent downstream as log records with the event name `driftlock.anomaly`.",
    ),
  stream_metrics: z
    .boolean()
    .default(false)
    .describe(
      "If true, the metrics of streams that `telemetry.stream_metrics` asks for are also sent downstream every minute, as OTLP metrics of Driftlock itself.",
    ),
  compression: z
    .enum(["none", "gzip", "zstd"])
    .default("gzip")
    .describe("The compression of forwarded requests."),
  headers: z
    .record(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/), z.string())
    .meta({ expected: "header names and values", secret: true } satisfies KeyMeta)
    .default({})
    .describe("Headers that are sent with each request."),
  tls,
  max_request_size: bytes
    .pipe(z.number().min(64 * 2 ** 10))
    .default(4 * 2 ** 20)
    .describe(
      "The size of a request before compression. Larger requests are sent in parts. The default is the limit that gRPC servers have by default, including the Collector's OTLP receiver.",
    ),
  timeout: duration.default(10_000).describe("The timeout of a single delivery attempt."),
  retry: section({
    enabled: z
      .boolean()
      .default(true)
      .describe(
        "If true, failed deliveries are retried. It must be true with `forward.queue.storage: disk`.",
      ),
    initial_interval: duration
      .default(500)
      .describe("The delay before the second attempt. It doubles with each attempt, with full jitter."),
    max_interval: duration.default(5_000).describe("The maximum delay between two attempts."),
    max_elapsed_time: duration
      .default(30_000)
      .describe(
        "The time from a request's arrival after which it is no longer retried. The sender then receives a retryable error; in the queue on disk, the request moves to the end.",
      ),
  }),
  queue: section({
    concurrency: count
      .max(1_000)
      .default(10)
      .describe(
        "The number of requests that are sent at once. With the queue on disk, 1 keeps the order of each signal strictly.",
      ),
    max_size: bytes
      .default(128 * 2 ** 20)
      .describe(
        "The bytes in memory that wait for delivery or are being delivered. Beyond it, senders receive a retryable error. With the queue on disk, each signal has a third of it, but always room for one request.",
      ),
    storage: z
      .enum(["memory", "disk"])
      .default("memory")
      .describe(
        "When a sender is answered. `memory`: after the downstream has accepted the request. `disk`: after the request is stored in `data_dir`, from where the requests of each signal are delivered in order, also after a crash.",
      ),
    disk: section({
      sync: z
        .enum(["always", "interval", "off"])
        .default("always")
        .describe(
          "When a stored request counts as safe. `always`: after it is flushed to the device, with one flush for all requests that wait; it survives a power failure. `interval`: after it is written; it is flushed every `forward.queue.disk.sync_interval` and survives a crash of the process. `off`: after it is written, and it is never flushed.",
        ),
      sync_interval: duration
        .default(1_000)
        .describe("The time between two flushes with `forward.queue.disk.sync: interval`."),
      max_size: bytes
        .default(2 ** 30)
        .describe("The bytes on disk per signal. Beyond it, senders receive a retryable error."),
      max_dead_letter_size: bytes
        .default(64 * 2 ** 20)
        .describe(
          "The bytes on disk per signal for dead letters, which are requests that the downstream has rejected permanently.",
        ),
    }).describe(
      "Settings of the queue on disk, which have an effect only with `forward.queue.storage: disk`.",
    ),
  }),
});
