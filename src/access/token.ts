/** Verifies OIDC access tokens: JWTs that are signed by the issuer's keys, which are fetched once and cached. */
import {
  createRemoteJWKSet,
  customFetch,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from "jose";
import type { Logger } from "pino";
import { boundedFetch } from "../base/bounded-fetch.ts";
import type { AuthConfig } from "../config/schema.ts";
import { Code, ExportError } from "../otlp/protocol.ts";
import { type Scope, scopes } from "../store/index.ts";
import { type Principal, tenantPattern } from "./principal.ts";

type OidcConfig = NonNullable<AuthConfig["oidc"]>;

/** Neither `none` nor a symmetric algorithm is accepted: a public key must never work as a shared secret. */
const algorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];

const fetchTimeoutMs = 5_000;
/** The time between two attempts to find a key that is not in the set, and after a failed discovery. */
const cooldownMs = 10_000;
const cacheMs = 3_600_000;
/** The tolerated difference between clocks, in seconds. */
const clockTolerance = 30;

/** What a token says, and when it ends, in milliseconds since 1970. */
export interface VerifiedToken {
  principal: Principal;
  expiresAt: number;
}

export class TokenVerifier {
  readonly #config: OidcConfig;
  readonly #log: Logger;
  #keys: Promise<JWTVerifyGetKey> | undefined;

  constructor(config: OidcConfig, log: Logger) {
    this.#config = config;
    this.#log = log;
  }

  /** @throws {ExportError} UNAUTHENTICATED or PERMISSION_DENIED, and UNAVAILABLE if the issuer cannot be reached. */
  async verify(token: string): Promise<Principal> {
    return (await this.verifyWhole(token)).principal;
  }

  /** @throws {ExportError} as `verify`. */
  async verifyWhole(token: string): Promise<VerifiedToken> {
    const { issuer, audience } = this.#config;
    let payload: JWTPayload;
    try {
      this.#keys ??= this.#findKeys();
      const keys = await this.#keys;
      const options = { issuer, audience, algorithms, clockTolerance, requiredClaims: ["exp", "sub"] };
      ({ payload } = await jwtVerify(token, keys, options));
    } catch (cause) {
      const error = refusal(cause);
      if (error.code === Code.UNAVAILABLE)
        this.#log.warn({ err: cause }, "auth.oidc: tokens cannot be verified");
      throw error;
    }
    return { principal: this.#principal(payload), expiresAt: payload.exp! * 1_000 };
  }

  #principal(payload: JWTPayload): Principal {
    const { tenant_claim, scopes_claim, scope_prefix } = this.#config;
    const { sub } = payload;
    if (typeof sub !== "string" || sub === "") {
      throw unauthenticated("the token's claim sub names nobody: it must be a text");
    }
    const tenant = payload[tenant_claim];
    if (typeof tenant !== "string" || !tenantPattern.test(tenant)) {
      throw new ExportError(
        Code.PERMISSION_DENIED,
        `the token's claim ${tenant_claim} names no tenant of 1 to 64 letters, digits, dots, underscores or hyphens`,
      );
    }
    const claimed = payload[scopes_claim];
    const names = typeof claimed === "string" ? claimed.split(" ") : Array.isArray(claimed) ? claimed : [];
    const granted = scopes.filter((scope) => names.includes(scope_prefix + scope));
    return { tenant, scopes: new Set<Scope>(granted), subject: `user:${sub.slice(0, 200)}` };
  }

  async #findKeys(): Promise<JWTVerifyGetKey> {
    try {
      const url = this.#config.jwks_url ?? (await discover(this.#config.issuer));
      return createRemoteJWKSet(new URL(url), {
        timeoutDuration: fetchTimeoutMs,
        cooldownDuration: cooldownMs,
        cacheMaxAge: cacheMs,
        [customFetch]: boundedFetch,
      });
    } catch (error) {
      setTimeout(() => {
        this.#keys = undefined;
      }, cooldownMs).unref();
      throw error;
    }
  }
}

/** Returns the URL of the issuer's key set by OpenID Connect Discovery 1.0. */
async function discover(issuer: string): Promise<string> {
  const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const response = await boundedFetch(url, {
    signal: AbortSignal.timeout(fetchTimeoutMs),
    redirect: "error",
  });
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  const found = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown };
  if (found.issuer !== issuer) throw new Error(`${url} names another issuer`);
  if (typeof found.jwks_uri !== "string") throw new Error(`${url} has no jwks_uri`);
  return found.jwks_uri;
}

const unauthenticated = (message: string) => new ExportError(Code.UNAUTHENTICATED, message);

function refusal(cause: unknown): ExportError {
  if (cause instanceof errors.JWTExpired) return unauthenticated("the token has expired");
  if (cause instanceof errors.JWTClaimValidationFailed) {
    return unauthenticated(`the token's claim ${cause.claim} is not what auth.oidc asks for`);
  }
  if (cause instanceof errors.JWKSNoMatchingKey || cause instanceof errors.JWSSignatureVerificationFailed) {
    return unauthenticated("the token is not signed by a key of the issuer");
  }
  const ofTheIssuer =
    !(cause instanceof errors.JOSEError) ||
    cause instanceof errors.JWKSTimeout ||
    cause instanceof errors.JWKSInvalid ||
    cause.code === errors.JOSEError.code;
  if (ofTheIssuer) {
    return new ExportError(Code.UNAVAILABLE, "the issuer's keys cannot be had now", cooldownMs, { cause });
  }
  return unauthenticated("the token is malformed or of a kind that is not taken");
}
