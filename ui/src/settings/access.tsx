/** Who uses the dashboard. */
import { logIn, send } from "../api/client.ts";
import { session } from "../api/session.ts";
import { Time } from "../parts/labels.tsx";
import { notify } from "../shell/toasts.tsx";

/** What the scopes of a key permit. */
export const meanings: Readonly<Record<string, string>> = {
  ingest: "send telemetry",
  read: "read what was found",
  admin: "decide about it and change settings",
};

async function logOut(): Promise<void> {
  try {
    await send("/v1/session", { method: "DELETE" });
    session.value = undefined;
    logIn();
  } catch (error) {
    notify({ text: `You are still logged in: ${(error as Error).message}.`, kind: "failed" });
  }
}

export function Access() {
  const { value } = session;
  return (
    <div class="cards">
      <section class="card">
        <h2>You</h2>
        {value === undefined ? (
          <p>Nothing is known about your session.</p>
        ) : (
          <>
            <dl class="pairs">
              <dt>Name in the audit log</dt>
              <dd>{value.subject}</dd>
              <dt>Tenant</dt>
              <dd>{value.tenant}</dd>
              <dt>You may</dt>
              <dd>{value.scopes.map((scope) => meanings[scope] ?? scope).join(", ")}</dd>
              {value.expires_at !== null && (
                <>
                  <dt>Session</dt>
                  <dd>
                    until <Time at={value.expires_at} />
                  </dd>
                </>
              )}
            </dl>
            {value.subject === "anonymous" && (
              <p class="hint">
                Authentication is off, and the API answers to this machine alone. With{" "}
                <code>auth.enabled</code> everyone needs a key.
              </p>
            )}
            {value.expires_at !== null && (
              <p>
                <button type="button" onClick={() => void logOut()}>
                  Log out
                </button>
              </p>
            )}
          </>
        )}
      </section>
    </div>
  );
}
