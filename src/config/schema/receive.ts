import { z } from "zod";
import { receiveKafka } from "./receive-kafka.ts";
import { bytes, count, duration, listen, path, section } from "./values.ts";

const tls = z
  .strictObject({
    cert_file: path.describe("The server's certificate chain, as a PEM file."),
    key_file: path.describe("The private key of the certificate, as a PEM file."),
    client_ca_file: path
      .optional()
      .describe("If set, clients must present a certificate that this authority has signed (mTLS). PEM."),
    reload_interval: duration
      .default(10_000)
      .describe("How often the files are checked for changes. 0 disables reloading."),
  })
  .optional()
  .describe(
    "Enables TLS. The section may be left out; if it is present, `cert_file` and `key_file` are required.",
  );

export const receive = section({
  grpc: section({
    enabled: z.boolean().default(true).describe("If true, Driftlock receives OTLP/gRPC."),
    endpoint: listen
      .default("127.0.0.1:4317")
      .describe("The address to listen at. Port 0 picks any free port."),
    tls,
    max_concurrent_streams: count.default(128).describe("The number of concurrent calls on one connection."),
    request_timeout: duration
      .default(30_000)
      .describe(
        "The time from a request's headers to its last byte, and again for the sender to read the answer. 0 disables the limit for requests; for answers it is then 30 s.",
      ),
    keepalive: section({
      time: duration
        .default(7_200_000)
        .describe("A connection that has been silent for this long is pinged. 0 disables pings."),
      timeout: duration
        .default(20_000)
        .describe("A connection that does not answer a ping within this time is closed."),
      max_connection_idle: duration
        .default(300_000)
        .describe("A connection without calls for this long is closed. 0 disables the limit."),
      max_connection_age: duration
        .default(3_600_000)
        .describe(
          "A connection of this age, give or take a tenth, is asked to reconnect and may finish its calls. 0 disables the limit.",
        ),
      max_connection_age_grace: duration
        .default(60_000)
        .describe(
          "A connection that has reached its maximum age is closed after this additional time, with or without calls. 0 disables the limit.",
        ),
    }),
    health: z.boolean().default(false).describe("If true, the gRPC health service is served as well."),
    reflection: z
      .boolean()
      .default(false)
      .describe("If true, the gRPC reflection service is served as well."),
  }),
  http: section({
    enabled: z
      .boolean()
      .default(true)
      .describe("If true, Driftlock receives OTLP/HTTP, as protobuf and as JSON."),
    endpoint: listen
      .default("127.0.0.1:4318")
      .describe("The address to listen at. Port 0 picks any free port."),
    tls,
    request_timeout: duration
      .default(30_000)
      .describe(
        "The time from a request's first byte to its last, and again for the sender to read the answer. 0 disables the limit for requests; for headers and answers it is then 30 s.",
      ),
    keep_alive_timeout: duration
      .default(60_000)
      .describe("A connection that has been idle for this long is closed."),
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
        .default([])
        .describe(
          "Origins whose pages may send telemetry from a browser. `*` within an origin matches any characters, as in `https://*.example.com`. `*` alone allows all origins, without credentials.",
        ),
      allowed_headers: z
        .array(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "must be a header name, or *"))
        .default([])
        .describe(
          "Request headers that pages may send, besides `content-type` and those that need no permission. `*` allows any header.",
        ),
      max_age: duration
        .default(0)
        .describe(
          "How long a browser may cache the answer to its preflight request. 0 leaves it to the browser's own default.",
        ),
    }).describe(
      "Cross-origin requests from pages in a browser. None are allowed while there are no origins.",
    ),
  }),
  kafka: receiveKafka.describe("Requests that others have written to Kafka."),
  limits: section({
    max_request_size: bytes
      .default(64 * 2 ** 20)
      .describe("The size of one request, before and after decompression."),
    max_concurrent_requests: count
      .default(256)
      .describe(
        "The number of requests in progress, over both protocols together. One sender can have at most seven eighths of them.",
      ),
    max_inflight_size: bytes
      .default(256 * 2 ** 20)
      .describe(
        "The bytes of all requests in progress: what has arrived of them, decompressed, and their annotated copies. One sender can have at most seven eighths of them.",
      ),
    max_connections: count
      .default(1024)
      .describe(
        "The number of open connections of each protocol. One address can have at most seven eighths of them; when all are taken, a new connection replaces the one that has been idle for the longest time.",
      ),
    max_header_size: bytes.default(16 * 2 ** 10).describe("The size of all headers of one request together."),
  }),
});
