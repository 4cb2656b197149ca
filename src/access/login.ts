/**
 * Logs people in at an OpenID Connect issuer, by the authorization code flow with PKCE. The rights of a person are those of the
 * access token that the issuer gives for the login, which is verified like every other token and then forgotten.
 */
import type { Configuration } from "openid-client";
import type { Logger } from "pino";
import { boundedFetch } from "../base/bounded-fetch.ts";
import type { AuthConfig } from "../config/schema.ts";
import { Code, ExportError } from "../otlp/protocol.ts";
import type { TokenVerifier, VerifiedToken } from "./token.ts";

type LoginConfig = NonNullable<NonNullable<AuthConfig["oidc"]>["login"]>;

/** What proves that the browser which comes back from the issuer is the one that was sent there. */
export interface LoginProof {
  state: string;
  nonce: string;
  verifier: string;
}

/** What the issuer has added to the address to which it sent the browser back. */
export interface LoginAnswer {
  /** The address to which the issuer was asked to send the browser. */
  redirectUri: string;
  code: string;
  state: string;
  issuer?: string | undefined;
}

const fetchTimeoutS = 5;
const retryMs = 5_000;
/** Maximum number of logins that wait for the issuer. */
const maxWaiting = 32;

export class OidcLogin {
  readonly issuer: string;
  readonly #config: LoginConfig;
  readonly #tokens: TokenVerifier;
  readonly #log: Logger;
  #client: Promise<Configuration> | undefined;
  #waiting = 0;

  constructor(issuer: string, config: LoginConfig, tokens: TokenVerifier, log: Logger) {
    this.issuer = issuer;
    this.#config = config;
    this.#tokens = tokens;
    this.#log = log;
  }

  /** Returns the address at which a person logs in. @throws {ExportError} UNAVAILABLE if the issuer cannot be reached. */
  begin(redirectUri: string): Promise<{ url: string; proof: LoginProof }> {
    return this.#asking(async (library, client) => {
      const proof: LoginProof = {
        state: library.randomState(),
        nonce: library.randomNonce(),
        verifier: library.randomPKCECodeVerifier(),
      };
      const url = library.buildAuthorizationUrl(client, {
        ...this.#config.parameters,
        redirect_uri: redirectUri,
        scope: this.#config.scope,
        state: proof.state,
        nonce: proof.nonce,
        code_challenge: await library.calculatePKCECodeChallenge(proof.verifier),
        code_challenge_method: "S256",
      });
      return { url: url.href, proof };
    });
  }

  /**
   * Exchanges the issuer's code for an access token and verifies it.
   * @throws {ExportError} UNAUTHENTICATED, PERMISSION_DENIED, or UNAVAILABLE if the issuer cannot be reached.
   */
  async finish({ redirectUri, code, state, issuer }: LoginAnswer, proof: LoginProof): Promise<VerifiedToken> {
    const answer = new URL(redirectUri);
    answer.searchParams.set("code", code);
    answer.searchParams.set("state", state);
    if (issuer !== undefined) answer.searchParams.set("iss", issuer);
    const token = await this.#asking(async (library, client) => {
      const checks = {
        pkceCodeVerifier: proof.verifier,
        expectedState: proof.state,
        expectedNonce: proof.nonce,
        idTokenExpected: true,
      };
      return library.authorizationCodeGrant(client, answer, checks, this.#config.parameters);
    });
    return this.#tokens.verifyWhole(token.access_token);
  }

  async #asking<T>(
    ask: (library: typeof import("openid-client"), client: Configuration) => Promise<T>,
  ): Promise<T> {
    if (this.#waiting >= maxWaiting) {
      throw new ExportError(Code.UNAVAILABLE, "too many logins wait for the issuer; try again", retryMs);
    }
    this.#waiting += 1;
    // It is loaded by the first login.
    const library = await import("openid-client");
    try {
      this.#client ??= this.#discover(library);
      return await ask(library, await this.#client);
    } catch (cause) {
      throw this.#refusal(library, cause);
    } finally {
      this.#waiting -= 1;
    }
  }

  async #discover(library: typeof import("openid-client")): Promise<Configuration> {
    const { client_id, client_secret } = this.#config;
    const server = new URL(this.issuer);
    try {
      return await library.discovery(server, client_id, client_secret, undefined, {
        timeout: fetchTimeoutS,
        [library.customFetch]: (url, init) => boundedFetch(url, init as RequestInit),
        execute: server.protocol === "http:" ? [library.allowInsecureRequests] : [],
      });
    } catch (error) {
      this.#client = undefined;
      throw error;
    }
  }

  /** What the issuer or the browser has got wrong is the caller's error; anything else may pass. */
  #refusal(library: typeof import("openid-client"), cause: unknown): ExportError {
    if (cause instanceof library.ResponseBodyError || cause instanceof library.AuthorizationResponseError) {
      const why = cause.error_description ?? cause.error;
      return new ExportError(
        Code.UNAUTHENTICATED,
        `the issuer refuses the login: ${why.slice(0, 300)}; try again`,
      );
    }
    const code = (cause as { code?: unknown }).code;
    if (code === "OAUTH_INVALID_RESPONSE" || code === "OAUTH_JWT_CLAIM_COMPARISON_FAILED") {
      return new ExportError(
        Code.UNAUTHENTICATED,
        "the answer of the issuer is not for this login; log in again",
      );
    }
    this.#log.warn({ err: cause }, "auth.oidc.login: the issuer cannot be asked");
    return new ExportError(Code.UNAVAILABLE, "the issuer cannot be asked now", retryMs, {
      cause: cause as Error,
    });
  }
}
