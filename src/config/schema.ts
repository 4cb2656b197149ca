import { z } from "zod";

/**
 * What people are told of a key, read by keys.ts: `description` completes "must be …", `unit` says how a number is
 * shown, `secret` that a value is never shown.
 */
export interface KeyMeta {
  description?: string;
  unit?: "bytes" | "ms";
  secret?: boolean;
}

/** Bytes: a whole number, or a number with KiB, MiB or GiB. */
const bytes = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d+(\.\d+)?\s*(B|KiB|MiB|GiB)$/)
      .transform((text) => {
        const unit = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }[/([KMG]i)?B$/.exec(text)![0]]!;
        return Number.parseFloat(text) * unit;
      }),
  ])
  .pipe(z.number().int().positive())
  .meta({ description: "a size such as 64MiB", unit: "bytes" } satisfies KeyMeta);

/** Milliseconds: a whole number, or a number with ms, s, m, h or d. */
const duration = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d+(\.\d+)?\s*(ms|s|m|h|d)$/)
      .transform((text) => {
        const unit = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 }[/[a-z]+$/.exec(text)![0]]!;
        return Math.round(Number.parseFloat(text) * unit);
      }),
  ])
  .pipe(z.number().int().nonnegative())
  .meta({ description: "a duration such as 30s", unit: "ms" } satisfies KeyMeta);

/** host:port, where [::1]:4317 and :0 (any free port) are fine. */
const listen = z
  .string()
  .regex(/^(\[[0-9a-fA-F:.]+\]|[^:\s]+):\d{1,5}$/)
  .refine(
    (address) => Number(address.slice(address.lastIndexOf(":") + 1)) < 65536,
    "must have a port below 65536",
  )
  .meta({ description: "an address such as 127.0.0.1:4317" } satisfies KeyMeta);

const path = z
  .string()
  .min(1)
  .meta({ description: "a path" } satisfies KeyMeta);
const count = z.number().int().positive();
const url = z
  .url({ protocol: /^https?$/ })
  .meta({ description: "a URL such as http://127.0.0.1:14317" } satisfies KeyMeta);

/** Section defaults come from the fields': `{}` is parsed, so that each default stands once. */
function section<T extends z.ZodRawShape>(shape: T) {
  return z.strictObject(shape).prefault({} as never);
}

const serverTls = z
  .strictObject({
    cert_file: path,
    key_file: path,
    /** Set: clients must show a certificate that this authority signed (mTLS). */
    client_ca_file: path.optional(),
    /** How often the files are looked at for change. */
    reload_interval: duration.default(10_000),
  })
  .optional();

const clientTls = z
  .strictObject({
    /** Authority of the downstream's certificate; the system's where it is not set. */
    ca_file: path.optional(),
    cert_file: path.optional(),
    key_file: path.optional(),
    server_name_override: z.string().min(1).optional(),
    insecure_skip_verify: z.boolean().default(false),
    reload_interval: duration.default(10_000),
  })
  .refine((tls) => !tls.cert_file === !tls.key_file, "must have both cert_file and key_file, or neither")
  .optional();

const receive = section({
  grpc: section({
    enabled: z.boolean().default(true),
    endpoint: listen.default("127.0.0.1:4317"),
    tls: serverTls,
    max_concurrent_streams: count.default(128),
    /** From a request's headers to its last byte. */
    request_timeout: duration.default(30_000),
    keepalive: section({
      time: duration.default(7_200_000),
      timeout: duration.default(20_000),
      max_connection_idle: duration.default(300_000),
      max_connection_age: duration.default(3_600_000),
      max_connection_age_grace: duration.default(60_000),
    }),
    /** The services beside OTLP's own. */
    health: z.boolean().default(false),
    reflection: z.boolean().default(false),
  }),
  http: section({
    enabled: z.boolean().default(true),
    endpoint: listen.default("127.0.0.1:4318"),
    tls: serverTls,
    /** From a request's first byte to its last. */
    request_timeout: duration.default(30_000),
    keep_alive_timeout: duration.default(60_000),
    /** For pages in a browser; nothing is allowed while there are no origins. */
    cors: section({
      allowed_origins: z
        .array(
          z
            .string()
            .regex(
              /^(\*|[a-zA-Z][\w+.-]*:\/\/[^\s/,]+)$/,
              "must be an origin such as https://shop.example.com or https://*.example.com, or *",
            ),
        )
        .default([]),
      allowed_headers: z
        .array(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "must be a header name, or *"))
        .default([]),
      max_age: duration.default(0),
    }),
  }),
  limits: section({
    /** Of one request, before and after decompression. */
    max_request_size: bytes.default(64 * 2 ** 20),
    /** Requests in work at once, both protocols together. */
    max_concurrent_requests: count.default(256),
    /** Bytes of all requests in work at once, decompressed. */
    max_inflight_size: bytes.default(256 * 2 ** 20),
    /** Open connections of each protocol. */
    max_connections: count.default(1024),
    /** All headers of one request together. */
    max_header_size: bytes.default(16 * 2 ** 10),
  }),
});

const network = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]);

const auth = section({
  /** Off only where all that listens is on loopback or asks for client certificates. */
  enabled: z.boolean().default(false),
  /** Access tokens as JWTs, beside API keys. */
  oidc: z
    .strictObject({
      /** As in the token's `iss`; its keys are found by OpenID Connect Discovery. */
      issuer: url,
      audience: z.string().min(1),
      /** Of the issuer's JSON Web Key Set, where there is no discovery. */
      jwks_url: url.optional(),
      /** Claim that names the tenant. */
      tenant_claim: z.string().min(1).default("tenant"),
      /** Claim with the scopes, as a list or by spaces. */
      scopes_claim: z.string().min(1).default("scope"),
      /** What stands before ingest, read and admin there. */
      scope_prefix: z.string().default("driftlock:"),
    })
    .optional(),
  /** Header or gRPC metadata key that names the tenant; where it is not set, or not sent, the tenant is `default`. */
  tenant_header: z
    .string()
    .regex(/^[a-z0-9-]+$/)
    .meta({ description: "a header name in lower case" } satisfies KeyMeta)
    .optional(),
  /** Addresses or networks whose tenant header is believed without a key: they may ingest and read. */
  trusted_proxies: z
    .array(
      z
        .string()
        .refine(
          (text) => network.safeParse(text).success,
          "must be an address or network such as 10.0.0.0/8",
        ),
    )
    .default([]),
});

/** Of each tenant; without limit where not set. */
const limits = section({
  /** A Redis in which several processes keep them together; without it, each keeps them in memory, by itself. */
  store: z
    .url({ protocol: /^rediss?$/ })
    .refine(
      (text) => /^(\/\d*)?$/.test(new URL(text).pathname),
      "must end with a database's number, or with none",
    )
    .meta({
      description: "a URL such as rediss://:password@127.0.0.1:6379/0",
      secret: true,
    } satisfies KeyMeta)
    .optional(),
  /** Of senders; those who ask have as many again. */
  requests_per_second: count.optional(),
  records_per_second: count.optional(),
  /** Of requests as protobuf, decompressed. */
  bytes_per_second: bytes.optional(),
  /** From midnight to midnight, UTC. */
  records_per_day: count.optional(),
  bytes_per_day: bytes.optional(),
  /** Judged at once; records of more pass unjudged, counted. */
  streams: count.max(1_000_000).optional(),
});

const detect = section({
  enabled: z.boolean().default(true),
  /** Resource attributes whose values make a stream's key, besides tenant and signal. */
  stream_by: z.array(z.string().min(1)).max(8).default(["service.name"]),
  baseline: section({
    /** Records that a stream shows before it is judged: a dictionary from the first part, limits from the rest. */
    records: count.min(64).max(1_000_000).default(1_000),
    /** Of the masked, deduplicated text that is kept; LZ4 looks back 64 KiB at the most. */
    /** News that keeps coming for so long becomes normal; until then it stays flagged, as one open anomaly. */
    accept_after: duration.default(86_400_000),
    dictionary_size: bytes.pipe(z.number().min(1024).max(65_536)).default(24 * 2 ** 10),
  }),
  window: section({
    records: count.min(8).max(100_000).default(256),
    hop: count.max(100_000).default(128),
  }),
  budget: section({
    /** Alarms a stream and day that an operator can bear. */
    per_stream_per_day: z.number().positive().max(1e6).default(1),
    /** Of all streams together; 0 for no limit. */
    per_process_per_day: z.number().nonnegative().max(1e9).default(1_000),
  }),
  /** Of the window metrics that explain an anomaly. */
  codec: z.enum(["openzl", "zstd", "lz4", "gzip"]).default("zstd"),
  permutations: z.number().int().min(0).max(9_999).default(199),
  seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(42),
  /**
   * A file of 64 hexadecimal digits: the secret of the engine's hashes, for processes that are to give the same verdicts.
   * Without it each installation has its own, in data_dir.
   */
  key_file: path.optional(),
  threads: z.number().int().min(1).max(16).default(1),
  /** Streams held at once; the least recently used goes first, counted. */
  max_streams: count.max(1_000_000).default(10_000),
  /** How often what streams have learned is saved in data_dir, besides at the end; 0: at the end alone. */
  snapshot_interval: duration.default(300_000),
});

const forward = section({
  /** http(s)://host:port; a path is kept for HTTP, with /v1/logs and so on behind it. */
  endpoint: url.default("http://127.0.0.1:14317"),
  /** More of the same kind, tried in this order where those before do not answer. */
  failover_endpoints: z
    .array(
      z
        .string()
        .refine((text) => url.safeParse(text).success, "must be a URL such as http://127.0.0.1:14317"),
    )
    .max(8)
    .default([]),
  protocol: z.enum(["grpc", "http"]).default("grpc"),
  /** all: in line. flagged: a tap, anomalous records alone. */
  mode: z.enum(["all", "flagged"]).default("all"),
  compression: z.enum(["none", "gzip", "zstd"]).default("gzip"),
  headers: z
    .record(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/), z.string())
    .meta({ description: "header names and values", secret: true } satisfies KeyMeta)
    .default({}),
  tls: clientTls,
  /** Bytes before compression; a larger request is sent in parts. */
  max_request_size: bytes.pipe(z.number().min(64 * 2 ** 10)).default(4 * 2 ** 20),
  /** Of one attempt. */
  timeout: duration.default(10_000),
  retry: section({
    enabled: z.boolean().default(true),
    initial_interval: duration.default(500),
    max_interval: duration.default(5_000),
    /** From a request's arrival on; then the sender is told to try again later. */
    max_elapsed_time: duration.default(30_000),
  }),
  queue: section({
    /** Requests sent at once. */
    concurrency: count.max(1_000).default(10),
    /** Bytes in memory that wait or are on their way; beyond it the sender is told to come back. */
    max_size: bytes.default(128 * 2 ** 20),
    /**
     * When a sender is answered. memory: once the downstream has taken its request. disk: once the request is kept under
     * data_dir, from where it is delivered in order, also after a crash.
     */
    storage: z.enum(["memory", "disk"]).default("memory"),
    /** Of storage: disk. */
    disk: section({
      /**
       * When a request is kept. always: flushed to the device, all that wait in one flush; survives a loss of power.
       * interval: written, and flushed every sync_interval; survives a crash of the process. off: never flushed.
       */
      sync: z.enum(["always", "interval", "off"]).default("always"),
      sync_interval: duration.default(1_000),
      /** Bytes on disk, by signal; beyond it the sender is told to come back. */
      max_size: bytes.default(2 ** 30),
      /** Of the requests that the downstream refused for good, by signal. */
      max_dead_letter_size: bytes.default(64 * 2 ** 20),
    }),
  }),
});

const store = section({
  /** A PostgreSQL database; without it, a file in `data_dir`. */
  url: z
    .url({ protocol: /^postgres(ql)?$/ })
    .meta({
      description: "a URL such as postgres://user@127.0.0.1/driftlock",
      secret: true,
    } satisfies KeyMeta)
    .optional(),
  /** Of each tenant; what is older or beyond the size goes, oldest first. */
  retention: section({
    /** Since an anomaly was last reported or judged. */
    max_age: duration.pipe(z.number().positive()).default(7_776_000_000),
    max_size: bytes.default(2 ** 30),
  }),
});

export const configSchema = z.strictObject({
  receive,
  detect,
  forward,
  store,
  auth,
  limits,
  api: section({
    enabled: z.boolean().default(true),
    endpoint: listen.default("127.0.0.1:8080"),
    /** Origins whose pages may use the API in a browser, besides its own. */
    cors_origins: z
      .array(
        z
          .url({ protocol: /^https?$/ })
          .refine(
            (text) => new URL(text).origin === text,
            "must be an origin such as https://ops.example.com",
          ),
      )
      .default([]),
  }),
  health: section({
    /** A listener for /healthz and /readyz alone, which the API's port has as well. */
    endpoint: listen.optional(),
    /** The engine or the event loop may be busy for so long without an answer until /healthz fails; 0: it never does. */
    engine_stuck_after: duration.default(60_000),
  }),
  telemetry: section({
    service_name: z.string().min(1).default("driftlock"),
    environment: z.string().min(1).default("dev"),
    log_level: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).default("info"),
    /** OTLP/gRPC endpoint for Driftlock's own traces; none are made where it is not set. */
    traces_endpoint: url.optional(),
  }),
  /** From SIGTERM until what is still undelivered is reported and given up. */
  shutdown_timeout: duration.default(10_000),
  data_dir: path.default("./driftlock-data"),
});

export type Config = z.output<typeof configSchema>;
export type ReceiveConfig = Config["receive"];
export type DetectConfig = Config["detect"];
export type ForwardConfig = Config["forward"];
export type StoreConfig = Config["store"];
export type AuthConfig = Config["auth"];
export type LimitsConfig = Config["limits"];
export type ServerTls = NonNullable<ReceiveConfig["grpc"]["tls"]>;
export type ClientTls = NonNullable<ForwardConfig["tls"]>;
