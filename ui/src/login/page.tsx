/** Exchanges a key for a session, which is a cookie that scripts cannot read. */
import { useEffect, useRef, useState } from "preact/hooks";
import { request } from "../api/client.ts";
import { forget } from "../api/load.ts";
import { session } from "../api/session.ts";
import type { Session } from "../api/types.ts";
import { go, here, root } from "../shell/router.ts";
import { useTitle } from "../shell/title.ts";

/** Where to go afterwards: a page of the dashboard, whatever the address says. */
function next(): string {
  const asked = here.value.query.get("next") ?? "/";
  return root + (/^\/(?![/\\])/.test(asked) && !asked.startsWith("/login") ? asked : "/");
}

export function LoginPage() {
  useTitle("Log in");
  const [problem, setProblem] = useState<string>();
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    forget();
    // It is the only thing to do here.
    field.current?.focus();
  }, []);
  const logIn = async (key: string) => {
    setBusy(true);
    setProblem(undefined);
    try {
      session.value = await request<Session>("/v1/session", { method: "POST", body: { key } });
      go(next(), { replace: true });
    } catch (error) {
      setProblem((error as Error).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="login">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          void logIn(String(new FormData(event.currentTarget).get("key")).trim());
        }}
      >
        <h1>Driftlock</h1>
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
        {problem && (
          <p class="problems" role="alert">
            {problem}
          </p>
        )}
        <button type="submit" class="primary" disabled={busy}>
          Log in
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
