/** Logging in at an OpenID Connect issuer: the browser goes there, and comes back to this page with a code. */
import { request } from "../api/client.ts";
import type { Session } from "../api/types.ts";
import { address, go, here } from "../shell/router.ts";

/** Where the page that was asked for is kept while the browser is away. */
const nextKey = "driftlock.next";

const ownAddress = () => new URL("login", document.baseURI).href;

export async function leaveForIssuer(next: string): Promise<void> {
  const { url } = await request<{ url: string }>("/v1/login", {
    method: "POST",
    body: { redirect_uri: ownAddress() },
  });
  sessionStorage.setItem(nextKey, next);
  location.assign(url);
}

/** What the issuer has added to the address. */
export interface Answer {
  code: string | undefined;
  state: string | undefined;
  iss: string | undefined;
  error: string | undefined;
}

/** Takes the answer of the issuer out of the address; undefined if there is none. */
export function takeAnswer(): Answer | undefined {
  const { query } = here.value;
  const value = (name: string) => query.get(name) ?? undefined;
  const error = value("error");
  if ((value("code") ?? error) === undefined) return undefined;
  const found = {
    code: value("code"),
    state: value("state"),
    iss: value("iss"),
    error: value("error_description") ?? error,
  };
  const next = sessionStorage.getItem(nextKey);
  // A code must not stay in the history, where "back" would use it again.
  go(address("/login", next === null ? {} : { next }), { replace: true });
  sessionStorage.removeItem(nextKey);
  return found;
}

/** @throws {Error} if the issuer has refused the login, or Driftlock refuses its answer. */
export async function finishLogin({ error, ...answer }: Answer): Promise<Session> {
  if (error !== undefined) throw new Error(`the issuer refuses the login: ${error}`);
  return request<Session>("/v1/session", {
    method: "POST",
    body: { ...answer, redirect_uri: ownAddress() },
  });
}
