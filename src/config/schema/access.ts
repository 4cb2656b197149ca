/** Who may do what, and how much of it. */
import { z } from "zod";
import { bytes, count, type KeyMeta, section, serverUrl, url } from "./values.ts";

const network = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]);

export const auth = section({
  enabled: z
    .boolean()
    .default(false)
    .describe(
      "If true, senders and API clients must authenticate. While it is false, everyone who can reach the process may send, read and change data, and the API only binds to loopback addresses.",
    ),
  oidc: z
    .strictObject({
      issuer: url.describe(
        "The issuer, as in the token's `iss` claim. Its keys are found by OpenID Connect Discovery.",
      ),
      audience: z.string().min(1).describe("The audience, as in the token's `aud` claim."),
      jwks_url: url
        .optional()
        .describe("The URL of the issuer's JSON Web Key Set, for issuers that do not support discovery."),
      tenant_claim: z.string().min(1).default("tenant").describe("The claim that names the tenant."),
      scopes_claim: z
        .string()
        .min(1)
        .default("scope")
        .describe("The claim with the scopes, as a list or separated by spaces."),
      scope_prefix: z
        .string()
        .default("driftlock:")
        .describe("The prefix of the scopes `ingest`, `read` and `admin` in the token."),
      login: z
        .strictObject({
          client_id: z.string().min(1).describe("The client that the issuer knows the dashboard as."),
          client_secret: z
            .string()
            .min(1)
            .meta({ secret: true } satisfies KeyMeta)
            .optional()
            .describe("The client's secret. A public client, which has none, is protected by PKCE alone."),
          scope: z
            .string()
            .regex(/(^| )openid( |$)/, "must contain openid")
            .default("openid driftlock:read driftlock:admin")
            .describe("What the issuer is asked for, separated by spaces."),
          parameters: z
            .record(z.string(), z.string())
            .default({})
            .describe(
              "Further parameters of the requests to the issuer, such as the `resource` or `audience` for which it gives a JWT as access token.",
            ),
        })
        .optional()
        .describe(
          "Lets people log in to the dashboard at the issuer, by the authorization code flow with PKCE. The access token must be a JWT for `audience`, with the claims of tenant and scopes. The section may be left out; if it is present, `client_id` is required. The redirect URI to register is the dashboard's address and `login`.",
        ),
    })
    .optional()
    .describe(
      "Accepts access tokens (JWTs) of an OpenID Connect issuer, in addition to API keys. The section may be left out; if it is present, `issuer` and `audience` are required.",
    ),
  tenant_header: z
    .string()
    .regex(/^[a-z0-9-]+$/)
    .meta({ expected: "a header name in lower case" } satisfies KeyMeta)
    .optional()
    .describe(
      "The HTTP header or gRPC metadata key that names the tenant. If it is not set or not sent, and `auth.enabled` is false, the tenant is `default`.",
    ),
  trusted_proxies: z
    .array(
      z
        .string()
        .refine(
          (text) => network.safeParse(text).success,
          "must be an address or network such as 10.0.0.0/8",
        ),
    )
    .default([])
    .describe(
      "Addresses or networks whose tenant header is trusted without a key. They may ingest and read.",
    ),
});

/** What limits one tenant. */
export const tenantLimits = {
  requests_per_second: count
    .optional()
    .describe(
      "Requests per second from a tenant's senders. API clients of the tenant have the same limit of their own.",
    ),
  records_per_second: count.optional().describe("Records per second."),
  bytes_per_second: bytes.optional().describe("Bytes of requests per second, as protobuf, decompressed."),
  records_per_day: count.optional().describe("Records per day, from midnight to midnight UTC."),
  bytes_per_day: bytes
    .optional()
    .describe("Bytes of requests per day, as protobuf, decompressed, from midnight to midnight UTC."),
};

export const limits = section({
  store: serverUrl(/^rediss?$/)
    .refine(
      (text) => /^(\/\d*)?$/.test(new URL(text).pathname),
      "must end with a database's number, or with none",
    )
    .meta({
      expected: "a URL such as rediss://:password@127.0.0.1:6379/0",
      secret: true,
    } satisfies KeyMeta)
    .optional()
    .describe(
      "A Redis server through which several processes share the limits, and the idempotency keys of the API. Without it, each process enforces the limits on its own, and knows only the keys of requests that it received itself.",
    ),
  ...tenantLimits,
  streams: count
    .max(1_000_000)
    .optional()
    .describe(
      "The number of streams that each process judges at once. Records of further streams are forwarded without a verdict, and counted by `driftlock_limited_records_total`.",
    ),
}).describe(
  "Limits of each tenant. A key that is not set sets no limit. What exceeds a limit is rejected with RetryInfo or Retry-After, except by `limits.streams`.",
);
