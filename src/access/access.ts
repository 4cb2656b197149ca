/**
 * Identifies callers of every protocol by API keys, sessions, tokens or trusted proxies. If authentication is disabled, everyone
 * is admitted.
 */
import type { Logger } from "pino";
import type { AuthConfig } from "../config/schema.ts";
import { Code, ExportError } from "../otlp/protocol.ts";
import type { Sender } from "../receive/index.ts";
import { type Identity, isUnavailable, type Scope, type Store, scopes } from "../store/index.ts";
import { OidcLogin } from "./login.ts";
import { networkMatcher } from "./networks.ts";
import { defaultTenant, type Principal, permits, tenantPattern } from "./principal.ts";
import { TokenVerifier } from "./token.ts";

/** The time after which a caller may try again while the store is unavailable. */
const keyRetryMs = 1_000;

const everything: ReadonlySet<Scope> = new Set(scopes);
const ofProxies: ReadonlySet<Scope> = new Set(["ingest", "read"]);

/** What the store knows about callers. */
interface Known {
  keys: Pick<Store["keys"], "verify">;
  sessions: Pick<Store["sessions"], "verify">;
}

export class Access {
  /** How people log in at the issuer; undefined if they cannot. */
  readonly oidcLogin: OidcLogin | undefined;
  readonly #enabled: boolean;
  readonly #tenantHeader: string | undefined;
  readonly #isProxy: (address: string | undefined) => boolean;
  readonly #known: Known;
  readonly #tokens: TokenVerifier | undefined;

  constructor(config: AuthConfig, known: Known, log: Logger) {
    this.#enabled = config.enabled;
    this.#tenantHeader = config.tenant_header;
    this.#isProxy = networkMatcher(config.trusted_proxies);
    this.#known = known;
    const { oidc } = config;
    this.#tokens = oidc && new TokenVerifier(oidc, log);
    this.oidcLogin = oidc?.login && new OidcLogin(oidc.issuer, oidc.login, this.#tokens!, log);
  }

  /**
   * Identifies the caller and checks that it has the scope.
   * @throws {ExportError} UNAUTHENTICATED if the caller is unknown, PERMISSION_DENIED if it lacks the scope or names
   * another tenant than its own, INVALID_ARGUMENT if the tenant's name is not valid, UNAVAILABLE if the caller cannot be
   * identified at present.
   */
  async admit(sender: Sender, scope: Scope): Promise<Principal> {
    return permitted(await this.#identify(sender), scope);
  }

  async #identify(sender: Sender): Promise<Principal> {
    const named = this.#namedTenant(sender);
    if (!this.#enabled) return { tenant: named ?? defaultTenant, scopes: everything, subject: "anonymous" };
    const credential = bearer(sender.header("authorization"));
    if (credential === undefined && sender.session === undefined) {
      if (named !== undefined && this.#isProxy(sender.peer)) {
        return { tenant: named, scopes: ofProxies, subject: "proxy" };
      }
      throw new ExportError(
        Code.UNAUTHENTICATED,
        "no API key or token; send `authorization: Bearer …` (`driftlock keys create` makes keys)",
      );
    }
    const principal = await this.#verify(credential, sender.session);
    if (named === undefined || named === principal.tenant) return principal;
    throw new ExportError(
      Code.PERMISSION_DENIED,
      `header ${this.#tenantHeader} names another tenant than the key or token is for`,
    );
  }

  async #verify(credential: string | undefined, session: string | undefined): Promise<Principal> {
    if (credential === undefined) return this.#verifySession(session!);
    // Secret scanners and people recognize a key by this prefix as well.
    if (credential.startsWith("dlk_")) return principalOf(await this.#verifyKey(credential));
    if (this.#tokens !== undefined) return this.#tokens.verify(credential);
    throw new ExportError(Code.UNAUTHENTICATED, "this is no API key, and auth.oidc is not set");
  }

  /** Identifies an API key that has the scope. @throws {ExportError} as `admit` does. */
  async admitKey(secret: string, scope: Scope): Promise<{ identity: Identity; principal: Principal }> {
    const identity = await this.#verifyKey(secret);
    return { identity, principal: permitted(principalOf(identity), scope) };
  }

  async #verifyKey(secret: string): Promise<Identity> {
    const identity = await verified(() => this.#known.keys.verify(secret));
    if (identity !== undefined) return identity;
    throw new ExportError(Code.UNAUTHENTICATED, "the API key is unknown, expired or revoked");
  }

  async #verifySession(secret: string): Promise<Principal> {
    const session = await verified(() => this.#known.sessions.verify(secret));
    if (session !== undefined) return { ...session, scopes: new Set(session.scopes) };
    throw new ExportError(Code.UNAUTHENTICATED, "the session is over; log in again");
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

/** @throws {ExportError} PERMISSION_DENIED if the principal lacks the scope. */
export function permitted(principal: Principal, scope: Scope): Principal {
  if (permits(principal, scope)) return principal;
  const has = [...principal.scopes].join(", ") || "none";
  throw new ExportError(Code.PERMISSION_DENIED, `this needs the scope ${scope}; the caller has ${has}`);
}

function principalOf({ tenant, scopes, prefix }: Identity): Principal {
  return { tenant, scopes: new Set(scopes), subject: prefix };
}

async function verified<T>(verify: () => Promise<T>): Promise<T> {
  try {
    return await verify();
  } catch (cause) {
    if (!isUnavailable(cause)) throw cause;
    throw new ExportError(Code.UNAVAILABLE, "API keys cannot be verified now", keyRetryMs, { cause });
  }
}

function bearer(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  const match = typeof header === "string" ? /^bearer +(\S+)$/i.exec(header.trim()) : null;
  if (match !== null) return match[1];
  throw new ExportError(Code.UNAUTHENTICATED, "authorization must be one `Bearer` with an API key or token");
}
