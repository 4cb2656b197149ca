/**
 * Identifies callers of every protocol by API keys, tokens or trusted proxies. If authentication is disabled, everyone
 * is admitted.
 */
import type { Logger } from "pino";
import type { AuthConfig } from "../config/schema.ts";
import { Code, ExportError } from "../otlp/protocol.ts";
import type { Sender } from "../receive/index.ts";
import { isUnavailable, type Keys, type Scope, scopes } from "../store/index.ts";
import { networkMatcher } from "./networks.ts";
import { defaultTenant, type Principal, permits, tenantPattern } from "./principal.ts";
import { TokenVerifier } from "./token.ts";

/** The time after which a caller may try again while the store is unavailable. */
const keyRetryMs = 1_000;

const everything: ReadonlySet<Scope> = new Set(scopes);
const ofProxies: ReadonlySet<Scope> = new Set(["ingest", "read"]);

export class Access {
  readonly #enabled: boolean;
  readonly #tenantHeader: string | undefined;
  readonly #isProxy: (address: string | undefined) => boolean;
  readonly #keys: Pick<Keys, "verify">;
  readonly #tokens: TokenVerifier | undefined;

  constructor(config: AuthConfig, keys: Pick<Keys, "verify">, log: Logger) {
    this.#enabled = config.enabled;
    this.#tenantHeader = config.tenant_header;
    this.#isProxy = networkMatcher(config.trusted_proxies);
    this.#keys = keys;
    this.#tokens = config.oidc && new TokenVerifier(config.oidc, log);
  }

  /**
   * Identifies the caller and checks that it has the scope.
   * @throws {ExportError} UNAUTHENTICATED if the caller is unknown, PERMISSION_DENIED if it lacks the scope or names
   * another tenant than its own, INVALID_ARGUMENT if the tenant's name is not valid, UNAVAILABLE if the caller cannot be
   * identified at present.
   */
  async admit(sender: Sender, scope: Scope): Promise<Principal> {
    const principal = await this.#identify(sender);
    if (permits(principal, scope)) return principal;
    const has = [...principal.scopes].join(", ") || "none";
    throw new ExportError(Code.PERMISSION_DENIED, `this needs the scope ${scope}; the caller has ${has}`);
  }

  async #identify(sender: Sender): Promise<Principal> {
    const named = this.#namedTenant(sender);
    if (!this.#enabled) return { tenant: named ?? defaultTenant, scopes: everything, subject: "anonymous" };
    const credential = bearer(sender.header("authorization"));
    if (credential === undefined) {
      if (named !== undefined && this.#isProxy(sender.peer)) {
        return { tenant: named, scopes: ofProxies, subject: "proxy" };
      }
      throw new ExportError(
        Code.UNAUTHENTICATED,
        "no API key or token; send `authorization: Bearer …` (`driftlock keys create` makes keys)",
      );
    }
    const principal = await this.#verify(credential);
    if (named === undefined || named === principal.tenant) return principal;
    throw new ExportError(
      Code.PERMISSION_DENIED,
      `header ${this.#tenantHeader} names another tenant than the key or token is for`,
    );
  }

  async #verify(credential: string): Promise<Principal> {
    // Secret scanners and people recognize a key by this prefix as well.
    if (credential.startsWith("dlk_")) return this.#verifyKey(credential);
    if (this.#tokens !== undefined) return this.#tokens.verify(credential);
    throw new ExportError(Code.UNAUTHENTICATED, "this is no API key, and auth.oidc is not set");
  }

  async #verifyKey(secret: string): Promise<Principal> {
    try {
      const key = await this.#keys.verify(secret);
      if (key !== undefined) {
        return { tenant: key.tenant, scopes: new Set(key.scopes), subject: key.prefix };
      }
    } catch (cause) {
      if (!isUnavailable(cause)) throw cause;
      throw new ExportError(Code.UNAVAILABLE, "API keys cannot be verified now", keyRetryMs, { cause });
    }
    throw new ExportError(Code.UNAUTHENTICATED, "the API key is unknown, expired or revoked");
  }

  #namedTenant(sender: Sender): string | undefined {
    if (this.#tenantHeader === undefined) return undefined;
    const value = sender.header(this.#tenantHeader);
    if (value === undefined) return undefined;
    if (typeof value === "string" && tenantPattern.test(value)) return value;
    throw new ExportError(
      Code.INVALID_ARGUMENT,
      `header ${this.#tenantHeader}: the tenant must be one value of 1 to 64 letters, digits, dots, underscores or hyphens`,
    );
  }
}

function bearer(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  const match = typeof header === "string" ? /^bearer +(\S+)$/i.exec(header.trim()) : null;
  if (match !== null) return match[1];
  throw new ExportError(Code.UNAUTHENTICATED, "authorization must be one `Bearer` with an API key or token");
}
