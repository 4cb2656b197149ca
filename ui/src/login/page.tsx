/** Exchanges a key, or the login at an issuer, for a session, which is a cookie that scripts cannot read. */
import { useEffect, useRef, useState } from "preact/hooks";
import { request } from "../api/client.ts";
import { forget } from "../api/load.ts";
import { session } from "../api/session.ts";
import type { LoginWays, Session } from "../api/types.ts";
import { address, go, here } from "../shell/router.ts";
import { useTitle } from "../shell/title.ts";
import { finishLogin, leaveForIssuer, takeAnswer } from "./oidc.ts";

/** Where to go afterwards: a page of the dashboard, whatever the address says. */
function next(): string {
  const asked = here.value.query.get("next") ?? "/";
  return /^\/(?![/\\])/.test(asked) && !asked.startsWith("/login") ? asked : "/";
}

export function LoginPage() {
  useTitle("Log in");
  const [problem, setProblem] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [issuer, setIssuer] = useState<string>();
  const field = useRef<HTMLInputElement>(null);
  const attempt = async (logIn: () => Promise<Session | undefined>) => {
    setBusy(true);
    setProblem(undefined);
    try {
      const begun = await logIn();
      if (begun === undefined) return;
      session.value = begun;
      go(address(next()), { replace: true });
    } catch (error) {
      setProblem((error as Error).message);
    }
    setBusy(false);
  };
  useEffect(() => {
    forget();
    const answer = takeAnswer();
    if (answer !== undefined) void attempt(() => finishLogin(answer));
    // It is the only thing to do here.
    else field.current?.focus();
    request<LoginWays>("/v1/login").then(
      ({ oidc }) => setIssuer(oidc?.issuer),
      () => {},
    );
  }, []);
  return (
    <main class="login">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          const key = String(new FormData(event.currentTarget).get("key")).trim();
          void attempt(() => request<Session>("/v1/session", { method: "POST", body: { key } }));
        }}
      >
        <h1>Driftlock</h1>
        {problem && (
          <p class="problems" role="alert">
            {problem}
          </p>
        )}
        {issuer && (
          <>
            <button
              type="button"
              class="primary"
              disabled={busy}
              onClick={() =>
                void attempt(async () => {
                  await leaveForIssuer(next());
                  return undefined;
                })
              }
            >
              Log in at {new URL(issuer).host}
            </button>
            <p class="or">or</p>
          </>
        )}
        <label>
          API key
          <input
            type="password"
            name="key"
            required
            ref={field}
            autocomplete="current-password"
            spellcheck={false}
          />
        </label>
        <button type="submit" class={issuer ? "" : "primary"} disabled={busy}>
          {issuer ? "Log in with the key" : "Log in"}
        </button>
        <p class="hint">
          A key begins with <code>dlk_</code>; <code>driftlock keys create</code> makes one with the scope{" "}
          <code>read</code>, and <code>admin</code> for changes. The browser keeps a session instead of the
          key.
        </p>
      </form>
    </main>
  );
}
